# Processes and ports, for scripts/services.

say() { printf 'services: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# started PID: prints when the process began, in clock ticks since boot. Fails when it is gone; a zombie,
# which a container without an init keeps for ever, counts as gone once its other threads have ended.
started() {
    local line fields
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${line##*) }"
    [[ ${fields[0]} != [ZX] || ${fields[17]} -gt 1 ]] && printf '%s' "${fields[19]}"
}

# A process is known by its id and its start, so that a reused id is never signalled.
remember() { printf '%s %s\n' "$2" "$(started "$2")" >"$RUN/$1.pid"; }

# pid_of NAME: prints the id of the service's process; fails when it does not run.
pid_of() {
    local pid start
    { read -r pid start <"$RUN/$1.pid"; } 2>/dev/null || return 1
    [[ -n $start && $(started "$pid") == "$start" ]] && printf '%s' "$pid"
}

children() {
    local file line fields
    for file in /proc/[0-9]*/stat; do
        { read -r line <"$file"; } 2>/dev/null || continue
        read -ra fields <<<"${line##*) }"
        [[ ${fields[1]} != "$1" ]] || tr -dc '0-9\n' <<<"$file"
    done
}

# gone SECONDS PID: waits for the end of a process.
gone() {
    local tries=$(($1 * 20))
    while started "$2" >/dev/null; do
        ((tries-- > 0)) || return 1
        sleep 0.05
    done
}

# kill_now NAME: SIGKILL for the server and for its children, which PostgreSQL would otherwise start anew or
# leave at work. Returns when all are gone.
kill_now() {
    local pid child all
    pid=$(pid_of "$1") || return 0
    kill -s STOP "$pid" 2>/dev/null
    mapfile -t all < <(children "$pid")
    all+=("$pid")
    kill -s KILL "${all[@]}" 2>/dev/null
    for child in "${all[@]}"; do
        gone 20 "$child" || {
            say "$1: process $child is still there after SIGKILL"
            return 1
        }
    done
    rm -f "$RUN/$1.pid"
}

# stop_gently NAME SIGNAL SECONDS: kills it when it has not ended by then.
stop_gently() {
    local pid
    pid=$(pid_of "$1") || return 0
    kill -s "$2" "$pid" 2>/dev/null
    if ! gone "$3" "$pid"; then
        say "$1: no end after $3 s, killed"
        kill_now "$1"
    fi
    rm -f "$RUN/$1.pid"
}

# spawn NAME COMMAND...: runs a server in a session of its own, in its data folder, its output in the log.
spawn() {
    local name=$1
    shift
    (
        exec {LOCK}>&-
        cd "$DATA/$name" && exec setsid "$@"
    ) </dev/null >>"$LOG/$name.log" 2>&1 &
    remember "$name" "$!"
}

# wait_for NAME SECONDS COMMAND...: until the command succeeds; gives up when the server ends.
wait_for() {
    local name=$1 end=$((SECONDS + $2))
    shift 2
    while ((SECONDS < end)); do
        "$@" >/dev/null 2>&1 && return 0
        pid_of "$name" >/dev/null || return 1
        sleep 0.1
    done
    return 1
}

port_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# free_port: prints a port below the usual ephemeral range, so that no outgoing connection takes it while
# its server is down.
free_port() {
    local port
    for _ in {1..200}; do
        port=$((20000 + $(od -An -N4 -tu4 /dev/urandom) % 12000))
        port_open 127.0.0.1 "$port" || {
            printf '%s' "$port"
            return
        }
    done
    return 1
}

# converse HOST PORT: sends standard input, prints what comes back until the other side closes.
converse() {
    (
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        cat >&3
        timeout 3 cat <&3
    ) 2>/dev/null
}

# lock NAME: one command at a time works on a service. Let go at the end of the subshell.
lock() {
    exec {LOCK}>"$RUN/$1.lock"
    flock -w 900 "$LOCK" || die "$1: another run holds $RUN/$1.lock"
}
