"""Scripts that complete the words of ``edgejoule``: verbs by themselves, KEY=VALUE of a configuration by Hydra.

Hydra answers ``edgejoule run -sc query=SHELL`` with the keys and values that may follow ``COMP_LINE``. Its own scripts
(``-sc install=bash``) serve programs without verbs, so ours hand it the line without the verb.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence

from bench.common.exit_codes import BAD_INPUT
from edgejoule.verbs import VERBS


def main(words: Sequence[str]) -> int:
    """Print the script for one shell; 2 for another word."""
    if len(words) != 1 or words[0] not in SCRIPTS:
        shells = "|".join(SCRIPTS)
        print(f"error: --completion {' '.join(words) or 'alone'} names no known shell; use {shells}", file=sys.stderr)
        return BAD_INPUT
    print(SCRIPTS[words[0]](), end="")
    return 0


def bash() -> str:
    """For ``eval "$(edgejoule --completion bash)"``."""
    followed = "\n".join(
        f'            {name}) choices="{" ".join(verb.words)}"; first=3 ;;' for name, verb in VERBS.items() if verb.words
    )
    return f"""\
_edgejoule() {{
    local line=${{COMP_LINE:0:COMP_POINT}} choices="" first=2
    local -a words=($line)
    [[ $line == *" " ]] && words+=("")
    local count=${{#words[@]}}
    local word=${{words[count-1]}} verb=${{words[1]}}
    if (( count == 2 )); then
        choices="{" ".join(VERBS)} --help --version --completion"
    else
        case $verb in
            --completion) choices="{" ".join(SCRIPTS)}"; first=3 ;;
{followed}
        esac
        if (( count > first )); then
            choices=""
            case $verb in
                {"|".join(_keyed())})
                    choices=$(COMP_LINE="edgejoule ${{words[*]:first}}" edgejoule run -sc query=bash 2>/dev/null)
                    compopt -o nospace 2>/dev/null ;;
            esac
        fi
    fi
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
    # Readline replaces what follows the last word break only.
    if [[ $word == *=* && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${{COMPREPLY[@]#"${{word%"${{word##*=}}"}}"}}")
    fi
}}
complete -o default -F _edgejoule edgejoule
"""


def zsh() -> str:
    """For ``eval "$(edgejoule --completion zsh)"``, after ``compinit``."""
    verbs = "\n".join(f"        {shlex.quote(f'{name}:{verb.summary}')}" for name, verb in VERBS.items())
    followed = "\n".join(
        f"        {name}) first=4; (( CURRENT == 3 )) && compadd -- {' '.join(verb.words)} ;;"
        for name, verb in VERBS.items()
        if verb.words
    )
    return f"""\
_edgejoule() {{
    local first=3
    local -a verbs choices
    verbs=(
{verbs}
    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    case $words[2] in
        --completion) compadd -- {" ".join(SCRIPTS)}; return ;;
{followed}
    esac
    (( CURRENT < first )) && return
    case $words[2] in
        {"|".join(_keyed())})
            choices=(${{=$(COMP_LINE="edgejoule ${{(j: :)words[first,CURRENT]}}" edgejoule run -sc query=zsh 2>/dev/null)}})
            compadd -S '' -- $choices ;;
        *) _files ;;
    esac
}}
compdef _edgejoule edgejoule
"""


def fish() -> str:
    """For ``edgejoule --completion fish | source``."""
    verbs = "\n".join(
        f"complete -c edgejoule -n __fish_use_subcommand -f -a {name} -d {shlex.quote(verb.summary)}"
        for name, verb in VERBS.items()
    )
    followed = "\n".join(
        f"complete -c edgejoule -n 'test (count (commandline -opc)) -eq 2; and __fish_seen_subcommand_from {name}' -f "
        f"-a '{' '.join(verb.words)}'"
        for name, verb in VERBS.items()
        if verb.words
    )
    return f"""\
function __edgejoule_keys
    set -l words (commandline -opc)
    set -l first 3
    contains -- $words[2] {" ".join(name for name in _keyed() if VERBS[name].words)}; and set first 4
    test (count $words) -lt (math $first - 1); and return
    set -lx COMP_LINE "edgejoule $words[$first..-1] "(commandline -ct)
    edgejoule run -sc query=fish 2>/dev/null
end
complete -c edgejoule -n __fish_use_subcommand -l completion -xa '{" ".join(SCRIPTS)}'
complete -c edgejoule -n __fish_use_subcommand -l version
{verbs}
{followed}
complete -c edgejoule -n '__fish_seen_subcommand_from {" ".join(_keyed())}' -f -a '(__edgejoule_keys)'
"""


def _keyed() -> list[str]:
    return [name for name, verb in VERBS.items() if verb.keys]


SCRIPTS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
