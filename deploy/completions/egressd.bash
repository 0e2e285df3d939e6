# Completes egressd in bash: printed by `egressd completions bash`.

_egressd() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local at='' i word names='' files='' config=()
    # To readline = is a word of its own.
    if [[ $current == = ]]; then
        current=''
    elif [[ $before == = ]] && ((COMP_CWORD > 1)); then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case "$at $word" in
        ' run') at='run' ;;
        ' check') at='check' ;;
        ' explain') at='explain' ;;
        ' lint') at='lint' ;;
        ' config') at='config' ;;
        ' completions') at='completions' ;;
        ' man') at='man' ;;
        ' help') at='help' ;;
        'config check') at='config check' ;;
        'config help') at='config help' ;;
        esac
        if [[ $word == --config ]]; then
            word=${COMP_WORDS[i + 1]}
            [[ $word == = ]] && word=${COMP_WORDS[i + 2]}
            config=(--config "$word")
        fi
    done
    case "$at $before" in
    'run --config') files=1 ;;
    'check --config') files=1 ;;
    'check --route') names=$("${COMP_WORDS[0]}" names routes "${config[@]}" 2> /dev/null) ;;
    'check --proxy') : ;;
    'check --curl') : ;;
    'check --format') names='text json nagios' ;;
    'lint --config') files=1 ;;
    'lint --provider') names=$("${COMP_WORDS[0]}" names providers "${config[@]}" 2> /dev/null) ;;
    'lint --request') files=1 ;;
    'lint --curl') : ;;
    'lint --format') names='text json' ;;
    *)
        if [[ $current == -* ]]; then
            case $at in
            '') names='-h --help -V --version' ;;
            'run') names='--config -h --help' ;;
            'check') names='--config --route --proxy --explain --curl --format -h --help' ;;
            'explain') names='--metrics -h --help' ;;
            'lint') names='--config --provider --request --curl --format -h --help' ;;
            'config') names='-h --help' ;;
            'config check') names='--plan -h --help' ;;
            'completions') names='-h --help' ;;
            'man') names='-h --help' ;;
            esac
        else
            case $at in
            '') names='run check explain lint config completions man help' ;;
            'check') names=$("${COMP_WORDS[0]}" names targets "${config[@]}" 2> /dev/null) ;;
            'explain') names=$("${COMP_WORDS[0]}" names causes "${config[@]}" 2> /dev/null) ;;
            'config') names='check help' ;;
            'config check') files=1 ;;
            'config help') names='check' ;;
            'completions') names='bash fish zsh' ;;
            'man') names='egressd egressd.toml' ;;
            'help') names='run check explain lint config completions man' ;;
            esac
        fi
        ;;
    esac
    COMPREPLY=()
    if [[ -n $files ]]; then
        compopt -o filenames 2> /dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "$names" -- "$current")
    fi
}

complete -F _egressd egressd
