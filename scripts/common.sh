# shellcheck shell=bash disable=SC2034
# Sourced by the other scripts: where things are, and how to become root.
checkout=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=${TESTBED_VENV:-$checkout/.venv}
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# A program that was started without file descriptor 0 would take its first open file for stdin.
if ! { true <&0; } 2>/dev/null; then exec </dev/null; fi

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { # die CODE MESSAGE…
    local code=$1
    shift
    printf 'error: %s\n' "$@" >&2
    exit "$code"
}
has() { command -v "$1" >/dev/null 2>&1; }

can_be_root() { [ "$(id -u)" = 0 ] || { has sudo && { sudo -n true 2>/dev/null || [ -t 2 ]; }; }; }

# The words that make a command run as root: none for root, sudo for others, exit 3 without sudo.
# Testbeds need no root; packages do.
become_root=()
need_root() { # need_root WHAT-FOR
    [ "$(id -u)" = 0 ] && return
    has sudo || die 3 "$1 needs root, and sudo is not installed" "run as root: ${0}"
    # It may ask for a password where somebody can type one, and must not wait where nobody can.
    become_root=(sudo -n)
    if ! sudo -n true 2>/dev/null; then
        [ -t 2 ] || die 3 "$1 needs root, and sudo asks for a password" "run as root: ${0}"
        sudo true || die 3 "$1 needs root"
        become_root=(sudo)
    fi
}
as_root() { "${become_root[@]}" "$@"; }

help_of() { # the comment at the top of a script is its help
    sed -n '2,/^[^#]/{/^[^#]/d; s/^# \{0,1\}//p}' "$1"
}
