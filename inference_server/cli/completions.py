"""The completion scripts of bash, zsh and fish, as text."""

from __future__ import annotations

from collections.abc import Mapping

from inference_server.cli.commands import Option, options, summaries
from inference_server.cli.flags import PROGRAM

Options = Mapping[str, list[Option]]
_EMPTY = "''"

_BASH = """\
# Completion of azmlinfsrv for bash:  eval "$(azmlinfsrv completion bash)"
_azmlinfsrv_paths() {{
    local IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen "$1" -- "$current"))
}}
_azmlinfsrv() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= words= plain=
    if ((COMP_CWORD > 1)) && [[ ${{COMP_WORDS[1]}} != -* ]]; then command=${{COMP_WORDS[1]}}; fi
    COMPREPLY=()
    case "$command:$before" in
{values}
    esac
    case "$command" in
{commands}
    esac
    if [[ $current == -* || -z $command ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    elif [[ -n $plain ]]; then
        COMPREPLY=($(compgen -W "$plain" -- "$current"))
    else
        _azmlinfsrv_paths -f
    fi
}}
complete -F _azmlinfsrv azmlinfsrv
"""
_ZSH = """\
#compdef azmlinfsrv
# Completion of azmlinfsrv for zsh:  eval "$(azmlinfsrv completion zsh)"
_azmlinfsrv() {{
    local -a commands
    commands=(
{summaries}
    )
    if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
        _describe command commands
        return
    fi
    case $words[2] in
{commands}
    esac
}}
compdef _azmlinfsrv azmlinfsrv
"""


def script(shell: str) -> str:
    """The whole script for one of bash, zsh and fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](options())


def _bash(found: Options) -> str:
    flags_by_value: dict[str, list[str]] = {}
    commands = []
    for command, flags in found.items():
        for flag in flags:
            if flag.value and flag.names:
                names = [f"{command}:{name}" for name in flag.names]
                flags_by_value.setdefault(_bash_value(flag), []).extend(names)
        words = [name for flag in flags for name in flag.names]
        if not command:
            words = [*summaries(), *words]
        plain = [word for flag in flags if not flag.names for word in flag.words]
        more = f" plain={_quoted(' '.join(plain))}" if plain else ""
        commands.append(f"        {command or _EMPTY}) words={_quoted(' '.join(words))}{more} ;;")
    values = [f"        {'|'.join(names)}) {value}; return ;;" for value, names in flags_by_value.items()]
    return _BASH.format(values="\n".join(values), commands="\n".join(commands))


def _bash_value(flag: Option) -> str:
    if flag.value == "words":
        return f'COMPREPLY=($(compgen -W {_quoted(" ".join(flag.words))} -- "$current"))'
    return {"folder": "_azmlinfsrv_paths -d", "file": "_azmlinfsrv_paths -f", "text": ":"}[flag.value]


def _zsh(found: Options) -> str:
    described = [f"        {_quoted(f'{name}:{about}')}" for name, about in summaries().items()]
    commands = []
    for command, flags in sorted(found.items(), reverse=True):  # the server's own, *, comes last
        specs = [_zsh_spec(flag, name) for flag in flags for name in flag.names]
        plain = [word for flag in flags if not flag.names for word in flag.words]
        if command:
            specs.append(_quoted(f"1:value:({' '.join(plain)})" if plain else "*:file:_files"))
            commands.append(f"        {command})\n            shift words; ((CURRENT--))")
        else:
            commands.append("        *)")
        commands.append(
            "            _arguments \\\n" + " \\\n".join(f"                {spec}" for spec in specs)
        )
        commands.append("            ;;")
    return _ZSH.format(summaries="\n".join(described), commands="\n".join(commands))


def _zsh_spec(flag: Option, name: str) -> str:
    about = flag.about
    for special in ("\\", "[", "]", ":"):
        about = about.replace(special, "\\" + special)
    value = {
        "": "",
        "words": f":value:({' '.join(flag.words)})",
        "file": ":file:_files",
        "folder": ":folder:_files -/",
        "text": ":value: ",
    }[flag.value]
    return _quoted(f"{name}[{about}]{value}")


def _fish(found: Options) -> str:
    commands = summaries()
    lines = [
        "# Completion of azmlinfsrv for fish:  azmlinfsrv completion fish > ~/.config/fish/completions/azmlinfsrv.fish"
    ]
    for name, about in commands.items():
        lines.append(f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {name} -d {_fish_quoted(about)}")
    for command, flags in found.items():
        seen = f"__fish_seen_subcommand_from {command or ' '.join(commands)}"
        condition = _fish_quoted(seen if command else f"not {seen}")
        for flag in flags:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names
            )
            value = {
                "": "",
                "words": f" -x -a {_fish_quoted(' '.join(flag.words))}",
                "file": " -r -F",
                "folder": " -x -a '(__fish_complete_directories)'",
                "text": " -x",
            }[flag.value]
            lines.append(f"complete -c {PROGRAM} -n {condition} {names}{value} -d {_fish_quoted(flag.about)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """One word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
