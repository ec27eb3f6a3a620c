#!/usr/bin/env bash
# Shows without a Docker engine that the Dockerfile's steps work: runs each stage in a root of its own, then the server
# that comes out, as the user of the Dockerfile. Needs root on Debian, some gigabytes in TMPDIR, and some minutes.
#
#   scripts/check_dockerfile.sh                  build the commit at HEAD, and run it
#   scripts/check_dockerfile.sh --binary PATH    run a binary that was built before; the first stage is skipped
#
# Dockerfile and .dockerignore are those of the working folder, all else is of HEAD. In place of the image of Debian
# stands what debootstrap makes; in place of Swift's image that and this machine's toolchain.
set -euo pipefail
umask 022

say() {
    echo "check_dockerfile: $*"
}

fail() {
    say "$*" >&2
    exit 1
}

# What https://github.com/swiftlang/swift-docker installs in its image of Swift 6.3 on Debian 12.
swift_image_packages=(
    binutils gcc git libcurl4-openssl-dev libedit-dev libicu-dev libncurses-dev libpython3-dev libsqlite3-dev
    libstdc++-12-dev libxml2-dev pkg-config tzdata uuid-dev
)

# --- Outside: mounts and processes get namespaces of their own, so the folder holds no mount when it is removed.

outside() {
    local binary=""
    if (($# == 2)) && [[ $1 == --binary ]]; then
        [[ -f $2 && -x $2 ]] || fail "$2 is no program"
        binary=$(realpath "$2")
    elif (($# > 0)); then
        fail "unknown arguments: $* (there is --binary PATH)"
    fi
    ((EUID == 0)) || fail "run as root: mount and chroot need it"
    local tool
    for tool in apt-get git python3 unshare; do
        command -v "$tool" >/dev/null || fail "there is no $tool here"
    done
    folder=$(mktemp -d "${TMPDIR:-/tmp}/rocket-dockerfile.XXXXXX")
    inner=""
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    if ! command -v debootstrap >/dev/null; then
        say "installing debootstrap"
        logged apt-get -qq update || true
        logged env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends debootstrap \
            || fail "apt-get could not install debootstrap"
    fi
    unshare --mount --pid --fork --kill-child --mount-proc "${BASH_SOURCE[0]}" --inside "$folder" "$binary" &
    inner=$!
    wait "$inner"
}

clean_up() {
    if [[ -n $inner ]]; then
        kill -KILL "$inner" 2>/dev/null || true
        wait "$inner" 2>/dev/null || true
    fi
    # What was killed may need a moment to be gone.
    rm -rf "$folder" 2>/dev/null || { sleep 2; rm -rf "$folder"; }
}

# Runs a command whose output is shown only if it fails.
logged() {
    "$@" </dev/null >"$folder/log" 2>&1 || {
        tail -n 40 "$folder/log" >&2
        return 1
    }
}

# --- The context and the steps.

make_context() {
    context=$folder/context
    mkdir "$context"
    git -C "$repository" archive HEAD | tar -x --no-same-owner -C "$context"
    [[ -e $repository/.dockerignore ]] && cp "$repository/.dockerignore" "$context"
    python3 - "$context" <<'PYTHON'
import os, re, sys

def expression(pattern):
    found = ""
    for token in re.findall(r"\*\*/?|\[[^]]*\]|\\.|.", pattern):
        found += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token) or (
            token if token[0] == "[" else re.escape(token[-1]))
    return re.compile(found + r"(?:/.*)?\Z", re.DOTALL)

root = sys.argv[1]
rules = []
if os.path.exists(os.path.join(root, ".dockerignore")):
    for line in open(os.path.join(root, ".dockerignore")):
        line = line.strip()
        if line and not line.startswith("#"):
            rules.append((line.startswith("!"), expression(line.lstrip("!").strip().strip("/"))))
for folder, _, files in os.walk(root, topdown=False):
    for name in files:
        path = os.path.join(folder, name)
        # The last rule that fits a file or a folder above it decides.
        fits = [keeps for keeps, rule in rules if rule.match(os.path.relpath(path, root))]
        if fits and not fits[-1]:
            os.remove(path)
    if not os.listdir(folder) and folder != root:
        os.rmdir(folder)
PYTHON
    say "context: $(find "$context" -type f | wc -l) files, $(du -sh "$context" | cut -f1)," \
        "of $(git -C "$repository" rev-parse --short HEAD)"
}

# Makes of the Dockerfile the calls of the functions step_… below.
make_steps() {
    python3 - "$repository/Dockerfile" <<'PYTHON'
import json, re, shlex, sys

def fail(text):
    sys.exit(f"check_dockerfile: line {number} of the Dockerfile: {text}")

def emit(name, *words):
    print(f"step_{name}", *map(shlex.quote, words))

def texts(rest):
    try:
        words = json.loads(rest)
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        fail(f"only the form [\"word\", …] is understood here: {rest}")
    return words

def command(rest):
    return texts(rest) if rest.startswith("[") else ["/bin/sh", "-c", rest]

def plain(rest, least=1, most=None):
    words = shlex.split(rest)
    if len(words) < least or (most and len(words) > most) or re.search(r"[$\[]|^--|<<", rest):
        fail(f"this form is not understood: {rest}")
    return words

instructions, joined = [], ""
for count, line in enumerate(open(sys.argv[1]), 1):
    if re.match(r"#\s*escape\s*=", line, re.I):
        sys.exit("check_dockerfile: an escape directive is not understood")
    if not line.strip() or line.lstrip().startswith("#"):
        continue
    number = number if joined else count
    line = line.rstrip()
    joined += line.removesuffix("\\")
    if not line.endswith("\\"):
        name, _, rest = joined.strip().partition(" ")
        instructions.append((number, name.upper(), rest.strip()))
        joined = ""
if joined:
    fail("the file ends within an instruction")
stages, stage = sum(name == "FROM" for _, name, _ in instructions), 0
for number, name, rest in instructions:
    if stage == 0 and name != "FROM":
        fail("the first instruction is not FROM")
    if name == "FROM":
        words = plain(rest, 1, 3)
        if len(words) == 2 or len(words) == 3 and words[1].upper() != "AS":
            fail(f"this form is not understood: {rest}")
        stage += 1
        # Docker, too, counts stages without a name from 0.
        emit(name, words[0], words[2] if len(words) == 3 else str(stage - 1), "last" if stage == stages else "earlier")
    elif name == "RUN":
        if re.match(r"--|\[", rest) or "<<" in rest:
            fail(f"this form is not understood: {rest}")
        emit(name, rest)
    elif name == "COPY":
        origin = re.match(r"--from=(\S+)\s+", rest)
        emit(name, origin[1] if origin else "", *plain(rest[origin.end():] if origin else rest, 2))
    elif name == "ENV":
        words = plain(rest)
        if not all(re.match(r"\w+=", word) for word in words):
            fail(f"only NAME=VALUE is understood: {rest}")
        emit(name, *words)
    elif name in ("WORKDIR", "USER", "STOPSIGNAL", "EXPOSE", "VOLUME"):
        emit(name, *plain(rest, 1, 1))
    elif name in ("ENTRYPOINT", "CMD"):
        emit(name, *texts(rest))
    elif name == "HEALTHCHECK":
        form = re.fullmatch(r"(?:--[a-z-]+=\S+\s+)*CMD\s+(.+)", rest, re.DOTALL)
        emit(name, *(command(form[1]) if form else fail(f"this form is not understood: {rest}")))
    else:
        fail(f"{name} is not understood")
PYTHON
}

# --- Roots.

# A base for the image, made once for each release of Debian, from the mirrors that apt here knows.
make_base() {
    local release=$1 sources mirror
    base=$folder/base-$release
    [[ -e $base ]] && return
    # shellcheck disable=SC2016
    sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | grep -E " $release(-updates|-security)? " | sort -u) || true
    mirror=$(awk -v release="$release" '$3 == release { print $2; exit }' <<<"$sources")
    [[ -n $mirror ]] || fail "apt here knows no mirror of Debian $release (is apt-get update needed?)"
    say "debootstrap: a small Debian $release"
    logged debootstrap --variant=minbase "$release" "$base" "$mirror" || fail "debootstrap failed"
    echo "$sources" >"$base/etc/apt/sources.list"
    # A mirror of a past day, or a proxy, needs what apt is told of it here.
    apt-config dump --no-empty --format '%f "%v";%n' Acquire | grep -E '^Acquire::(Check-|https?::|Retries)' \
        >"$base/etc/apt/apt.conf.d/99machine" || true
    echo 'APT::Keep-Downloaded-Packages "false";' >"$base/etc/apt/apt.conf.d/99small"
    rm -rf "$base"/var/cache/apt/archives/*.deb "$base"/var/lib/apt/lists/*
    cp --remove-destination -L /etc/hosts /etc/resolv.conf "$base/etc/"
}

# The slim images have no documentation, and take none in with packages.
make_slim() {
    rm -rf "$root"/usr/share/{doc,info,locale,man}/*
    printf 'path-exclude=/usr/share/%s/*\n' doc info locale man >"$root/etc/dpkg/dpkg.cfg.d/slim"
}

# What makes a Debian root stand for Swift's image.
add_swift() {
    local version=$1 name address
    [[ $(swift --version 2>/dev/null) =~ Swift\ version\ ([0-9.]+) ]] || fail "swift is not here, or says no version"
    [[ ${BASH_REMATCH[1]}. == "$version".* ]] || fail "the Dockerfile wants Swift $version, here is ${BASH_REMATCH[1]}"
    say "stage $stage: there is no Swift image here; its packages, and this machine's Swift ${BASH_REMATCH[1]}"
    logged in_root /bin/sh -c "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \
        ${swift_image_packages[*]} && rm -r /var/lib/apt/lists/*" || fail "apt-get could not install them"
    find_toolchain
    show_in_root "$toolchain"
    environment[0]=${environment[0]/=/=$toolchain/bin:}
    # How packages are reached from here: by a certificate, or by copies of them.
    if [[ -d /usr/local/share/ca-certificates ]]; then
        cp -rL /usr/local/share/ca-certificates "$root/usr/local/share/"
        logged in_root update-ca-certificates || fail "update-ca-certificates failed"
    fi
    while read -r name address; do
        git config --file "$root/etc/gitconfig" --add "$name" "$address"
        name=${name#url.}
        name=${name%.insteadof}
        if [[ $name == /* && ! -e $root$name ]]; then show_in_root "$name"; fi
    done < <(git config --get-regexp '^url\..*\.insteadof$')
}

find_toolchain() {
    toolchain=$(swift -print-target-info | sed -n 's|.*"runtimeResourcePath": *"\(.*\)/lib/swift".*|\1|p')
    [[ -x $toolchain/bin/swift ]] || fail "the toolchain of $(command -v swift) was not found"
}

# Mounts a folder of the machine at its own path, to be read.
show_in_root() {
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
}

# Runs a command in the stage's root, as its user and with its environment.
in_root() {
    local enter
    enter_words
    "${enter[@]}" "$@"
}

enter_words() {
    local entry
    entry=$(awk -F: -v user="$user" '$1 == user { print $3 ":" $4 " " $6 }' "$root/etc/passwd")
    [[ -n $entry ]] || fail "there is no user $user in the root"
    enter=(
        chroot "--userspec=${entry% *}" --groups= "$root"
        env -i -C "$workdir" "HOME=${entry#* }" "${environment[@]}"
    )
}

# --- Steps.

step_FROM() {
    local image=$1
    stage=$2
    skipped=""
    if [[ -n $binary && $3 == earlier ]]; then
        skipped=1
        say "stage $stage: skipped"
        return
    fi
    root=$folder/stages/$stage workdir=/ user=root
    environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
    entrypoint=() command=() healthcheck=() volume="" stop_signal=SIGTERM port_exposed=""
    [[ $image =~ ^debian:([a-z]+)-slim$ || $image =~ ^swift:[0-9.]+-([a-z]+)$ ]] || fail "what is the image $image?"
    make_base "${BASH_REMATCH[1]}"
    mkdir -p "$folder/stages"
    cp -a "$base" "$root"
    mount -t proc proc "$root/proc"
    if [[ $image =~ ^swift:([0-9.]+)- ]]; then add_swift "${BASH_REMATCH[1]}"; else make_slim; fi
    bare=$(size_of "$root")
}

step_RUN() {
    [[ -z $skipped ]] || return 0
    local text
    text=$(tr -s ' ' <<<"$1")
    say "stage $stage: RUN ${text:0:70}"
    logged in_root /bin/sh -c "$1" || fail "stage $stage: this failed: $text"
}

step_COPY() {
    [[ -z $skipped ]] || return 0
    local from=$1 target=${*: -1} pattern source matches origin=$context
    [[ -z $from ]] || origin=$folder/stages/$from
    [[ $target == /* ]] || target=$workdir/$target
    for pattern in "${@:2:$#-2}"; do
        if [[ -n $from && -n $binary ]]; then
            [[ ${pattern##*/} == rocket ]] || fail "stage $stage: $pattern is of a stage that --binary skips"
            matches=("$binary")
        else
            mapfile -t matches < <(compgen -G "$origin/$pattern")
        fi
        ((${#matches[@]} > 0)) || fail "stage $stage: COPY finds no $pattern"
        for source in "${matches[@]}"; do
            if [[ -d $source ]]; then
                mkdir -p "$root/$target"
                cp -R --preserve=mode,timestamps "$source/." "$root/$target/"
            elif [[ $target == */ || ${#matches[@]} -gt 1 || $# -gt 3 ]]; then
                mkdir -p "$root/$target"
                cp --preserve=mode,timestamps "$source" "$root/$target/"
            else
                mkdir -p "$(dirname "$root/$target")"
                cp --preserve=mode,timestamps "$source" "$root/$target"
            fi
        done
    done
}

step_WORKDIR() {
    [[ -z $skipped ]] || return 0
    if [[ $1 == /* ]]; then workdir=$1; else workdir=$workdir/$1; fi
    mkdir -p "$root/$workdir"
}

step_ENV() { [[ -n $skipped ]] || environment+=("$@"); }
step_USER() { user=$1; }
step_VOLUME() { volume=$1; }
step_EXPOSE() { port_exposed=$1; }
step_STOPSIGNAL() { stop_signal=$1; }
step_HEALTHCHECK() { healthcheck=("$@"); }
step_ENTRYPOINT() { entrypoint=("$@"); }
step_CMD() { command=("$@"); }

# --- The server that came out.

inside() {
    folder=$1 binary=$2
    repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    make_steps >"$folder/steps.sh"
    make_context
    # shellcheck disable=SC1091
    source "$folder/steps.sh"
    check_libraries
    check_server
    [[ -z $binary ]] || say "ATTENTION: the first stage was NOT checked; the binary was $binary"
}

check_libraries() {
    local missing size program
    size=$(size_of "$root")
    program=$(in_root /bin/sh -c "command -v '${entrypoint[0]}'") || fail "there is no ${entrypoint[0]} in the root"
    # A binary that was not built for the image may want Swift's libraries.
    if [[ -n $binary ]] && in_root ldd "$program" | grep -q 'libswiftCore.*not found'; then
        find_toolchain
        show_in_root "$toolchain"
        say "ATTENTION: the binary wants Swift's libraries, which the image has not; they are lent for the trial"
    fi
    missing=$(in_root ldd "$program" | awk '/not found/ { print $1 }' | sort -u | tr '\n' ' ')
    [[ -z $missing ]] || fail "the image lacks libraries of $program: $missing"
    say "root: $size, of which Debian $bare and the binary $(size_of "$root$program")"
}

size_of() {
    du -shx "$1" | cut -f1
}

check_server() {
    local port launcher server ids status data=""
    for data in "${environment[@]}"; do [[ $data != ROCKET_DATABASE_DATA_DIR=* ]] || break; done
    data=${data#*=}
    [[ $data == "$volume" ]] || fail "the data directory is $data, the volume is $volume"
    in_root "${entrypoint[@]}" config >"$folder/config" || fail "the configuration is bad"
    grep -q "^server.port = $port_exposed " "$folder/config" || fail "$port_exposed is exposed, which is not the port"

    port=$(python3 -c 'import socket; s = socket.create_server(("", 0)); print(s.getsockname()[1])')
    environment+=("ROCKET_SERVER_PORT=$port")
    start_server
    wait_until 60 answers /ready || fail "/ready did not answer 200"
    # The kernel's list of listeners: any address, the port, LISTEN.
    grep -qi " 00000000:$(printf %04X "$port") 00000000:0000 0A " /proc/net/tcp || fail "it listens on loopback only"

    # Real, effective, saved and of the file system.
    ids=$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$server/status")
    [[ $ids == "10001 10001 10001 10001" ]] || fail "it runs as user $ids, expected 10001"
    status=$(stat -c '%a %u' "$root$data/management.db") || fail "there is no management.db in $data"
    [[ $status == "600 10001" ]] || fail "management.db has mode and owner $status, expected 600 10001"
    logged in_root "${healthcheck[@]}" || fail "the health check fails beside a server that is well"
    say "server: ready, on every address, as user 10001; its database has mode 600; the health check passes"

    kill -s "$stop_signal" "$server"
    wait_until 30 ended || fail "$stop_signal did not stop it"
    status=0
    wait "$launcher" || status=$?
    ((status == 0)) || fail "$stop_signal stopped it with exit code $status"
    if in_root "${healthcheck[@]}" >/dev/null 2>&1; then fail "the health check passes without a server"; fi
    say "server: $stop_signal stopped it with exit code 0; the health check fails without it"
}

# As process 1 of its own, as in a container: there the signals that a program does not handle are ignored.
start_server() {
    local enter
    enter_words
    unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" \
        "${enter[@]}" "${entrypoint[@]}" "${command[@]}" </dev/null >"$folder/log" 2>&1 &
    launcher=$!
    wait_until 10 find_server || fail "it did not start"
}

find_server() {
    server=$(tr -d ' ' <"/proc/$launcher/task/$launcher/children")
    [[ -n $server ]]
}

ended() {
    # Until it is waited for, it is a zombie.
    ! grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$launcher/status"
}

answers() {
    local line=""
    {
        exec 3<>"/dev/tcp/127.0.0.1/$port" \
            && printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3 \
            && read -r -t 5 line <&3
        exec 3>&-
    } 2>/dev/null
    [[ $line == *" 200 "* ]]
}

# Asks a few times a second for as many seconds; a server that ended has said why.
wait_until() {
    local seconds=$1 end
    shift
    end=$((SECONDS + seconds))
    until "$@"; do
        if ((SECONDS >= end)) || { [[ $1 != ended ]] && ended; }; then
            tail -n 20 "$folder/log" >&2
            return 1
        fi
        sleep 0.1
    done
}

if [[ ${1:-} == --inside ]]; then inside "$2" "$3"; else outside "$@"; fi
