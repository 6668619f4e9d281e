# Neo4j Community, for scripts/services.

# neo4j_java: prints a java that Neo4j 5.26 supports.
neo4j_java() {
    local java
    for java in "${CML_JAVA:-}" "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java)" /usr/lib/jvm/*/bin/java; do
        if [[ -x $java && $("$java" -version 2>&1) =~ version\ \"(17|21)[.\"] ]]; then
            printf '%s' "$java"
            return
        fi
    done
    say "neo4j: no Java 17 or 21 found (CML_JAVA names one; Debian: apt-get install openjdk-17-jre-headless)"
    return 1
}

# neo4j_command: sets JVM to the words that run a class of Neo4j.
neo4j_command() {
    local java jars package
    { read -r java && read -r jars; } <"$DATA/neo4j/bin" || return 1
    JVM=("$java" -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true -Dfile.encoding=UTF-8
        -Dlog4j2.disable.jmx=true -cp "$jars/*")
    for package in java.nio java.io sun.nio.ch java.util.concurrent; do
        JVM+=("--add-opens=java.base/$package=ALL-UNNAMED")
    done
}

neo4j_configure() {
    local folder=$DATA/neo4j
    mkdir -p "$folder/conf"
    cat >"$folder/conf/neo4j.conf" <<CONF
server.directories.data=$folder/data
server.directories.logs=$folder/logs
server.directories.run=$folder/run
server.directories.import=$folder/import
server.directories.plugins=$folder/plugins
server.default_listen_address=127.0.0.1
server.bolt.enabled=true
server.bolt.listen_address=127.0.0.1:$1
server.bolt.advertised_address=127.0.0.1:$1
server.bolt.tls_level=DISABLED
server.http.enabled=false
server.https.enabled=false
server.memory.pagecache.size=128m
db.tx_log.preallocate=false
dbms.usage_report.enabled=false
dbms.security.auth_enabled=true
CONF
}

neo4j_prepare() {
    local folder=$DATA/neo4j java jars password
    java=$(neo4j_java) || return 1
    jars=${CML_NEO4J_LIB:-}
    [[ -n $jars ]] || jars=$(jars neo4j) || return 1
    printf '%s\n' "$java" "$jars" >"$folder/bin"
    read -r password <"$RUN/neo4j.password"
    neo4j_configure 7687
    neo4j_command
    NEO4J_HOME=$folder NEO4J_CONF=$folder/conf timeout 120 "${JVM[@]}" -XX:TieredStopAtLevel=1 -Xmx256m \
        org.neo4j.cli.AdminTool dbms set-initial-password "$password" >>"$LOG/neo4j.log" 2>&1
}

neo4j_launch() {
    neo4j_configure "$1"
    neo4j_command
    spawn neo4j "${JVM[@]}" -Xms256m -Xmx1g -XX:+UseG1GC org.neo4j.server.CommunityEntryPoint \
        "--home-dir=$DATA/neo4j" "--config-dir=$DATA/neo4j/conf" --console-mode
}

hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }

# packed TEXT: a string in PackStream, in hexadecimal.
packed() {
    if ((${#1} < 16)); then printf '8%x' ${#1}; else printf 'd0%02x' ${#1}; fi
    hex "$1"
}

# chunk HEX: a message of Bolt.
chunk() { printf '%04x%s0000' $((${#1} / 2)) "$1"; }

# neo4j_probe HOST PORT USER PASSWORD DATABASE: signs in over Bolt 4.4, runs a query and prints the version.
neo4j_probe() {
    local login query message reply='' part
    login=b101a4$(packed user_agent)$(packed cml)$(packed scheme)$(packed basic)
    login+=$(packed principal)$(packed "$3")$(packed credentials)$(packed "$4")
    query=b310$(packed 'RETURN 1')a0a1$(packed db)$(packed "$5")
    message=6060b01700000404000003040000010400000004
    message+=$(chunk "$login")$(chunk "$query")$(chunk "b13fa1$(packed n)ff")
    (
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        # shellcheck disable=SC2001 # the pattern is beyond a parameter expansion
        printf '%b' "$(sed 's/../\\x&/g' <<<"$message")" >&3
        # Each message ends with zero bytes.
        while IFS= read -r -d '' -t 3 -u 3 part; do
            reply+="$part "
            [[ $reply != *$'\xb1\x7f'* ]] || exit 1 # FAILURE
            if [[ $reply == *$'\xb1\x71\x91\x01'* ]]; then # RECORD with the number 1
                [[ $reply =~ Neo4j/([0-9.]+) ]] && printf 'Neo4j %s' "${BASH_REMATCH[1]}"
                exit
            fi
        done
        exit 1
    ) 2>/dev/null
}

neo4j_ready() { neo4j_probe 127.0.0.1 "$1" neo4j "$2" neo4j; }

neo4j_finish() { :; }

neo4j_exports() {
    printf '%s\n' "CML_TEST_NEO4J_URL=bolt://127.0.0.1:$1" CML_TEST_NEO4J_USER=neo4j \
        "CML_TEST_NEO4J_PASSWORD=$2" CML_TEST_NEO4J_DATABASE=neo4j
}
