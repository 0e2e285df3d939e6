# Completes egressd in fish: printed by `egressd completions fish`.

# Whether this command was typed.
function __egressd_at
    set -l words (commandline -opc)
    set -l at
    for word in $words[2..]
        string match -q -- '-*' $word; and continue
        set -a at $word
        contains -- "$at" 'config' 'config help' 'help'; or break
    end
    test "$at" = "$argv"
end

# What the configuration of this line names.
function __egressd_names
    set -l words (commandline -opc)
    set -l config
    for i in (seq (count $words))
        switch $words[$i]
            case --config
                set config $words[$i] $words[(math $i + 1)]
            case '--config=*'
                set config $words[$i]
        end
    end
    $words[1] names $argv $config 2>/dev/null
end

complete -c egressd -f
complete -c egressd -n '__egressd_at' -a run -d 'Runs the daemon: checks on a schedule, serves metrics and status'
complete -c egressd -n '__egressd_at' -a check -d 'Checks once, with the controls that are needed, and ends: 0 ok, 1 degraded, 2 broken, 3 unknown'
complete -c egressd -n '__egressd_at' -a explain -d 'Says what a cause means, who acts, and how it is decided'
complete -c egressd -n '__egressd_at' -a lint -d 'Says what is wrong with a request before it is sent'
complete -c egressd -n '__egressd_at' -a config -d 'Looks after configurations'
complete -c egressd -n '__egressd_at' -a completions -d 'Prints completions for a shell'
complete -c egressd -n '__egressd_at' -a man -d 'Prints a page of the manual'
complete -c egressd -n '__egressd_at' -a help -d 'Print this message or the help of the given subcommand'
complete -c egressd -n '__egressd_at' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at' -s V -l version -d 'Print version'
complete -c egressd -n '__egressd_at run' -l config -r -F -d 'The configuration'
complete -c egressd -n '__egressd_at run' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at check' -a '(__egressd_names targets)'
complete -c egressd -n '__egressd_at check' -l config -r -F -d 'The configuration'
complete -c egressd -n '__egressd_at check' -l route -x -a '(__egressd_names routes)' -d 'Only over this route'
complete -c egressd -n '__egressd_at check' -l proxy -x -d 'A URL only through this proxy'
complete -c egressd -n '__egressd_at check' -l explain -d 'Prints the equivalent dig, openssl and curl commands below each check, in the text'
complete -c egressd -n '__egressd_at check' -l curl -x -d 'The very request of a curl command line, which is judged as by lint first'
complete -c egressd -n '__egressd_at check' -l format -x -a 'text\\t\'For people\' json\\t\'As in /api/v1/status\' nagios\\t\'One line for Icinga and Nagios\'' -d 'How results are printed'
complete -c egressd -n '__egressd_at check' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at explain' -a '(__egressd_names causes)'
complete -c egressd -n '__egressd_at explain' -l metrics -d 'Prints METRICS.md: all metrics, with their labels and what these may hold'
complete -c egressd -n '__egressd_at explain' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at lint' -l config -r -F -d 'The configuration, whose requests are judged where no other is given'
complete -c egressd -n '__egressd_at lint' -l provider -x -a '(__egressd_names providers)' -d 'The API that is spoken'
complete -c egressd -n '__egressd_at lint' -l request -r -F -d 'A file with the request as HTTP/1.1 has it'
complete -c egressd -n '__egressd_at lint' -l curl -x -d 'A curl command line, which is not run'
complete -c egressd -n '__egressd_at lint' -l format -x -a 'text\\t\'For people\' json\\t\'As egressd.lint/1\'' -d 'How findings are printed'
complete -c egressd -n '__egressd_at lint' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at config' -a check -d 'Says everything that is wrong with a configuration, each with its place and a way out'
complete -c egressd -n '__egressd_at config' -a help -d 'Print this message or the help of the given subcommand'
complete -c egressd -n '__egressd_at config' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at config check' -F
complete -c egressd -n '__egressd_at config check' -l plan -d 'Prints what would run'
complete -c egressd -n '__egressd_at config check' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at config help' -a check -d 'Says everything that is wrong with a configuration, each with its place and a way out'
complete -c egressd -n '__egressd_at completions' -a 'bash\\t\'For /usr/share/bash-completion/completions/egressd\' fish\\t\'For /usr/share/fish/vendor_completions.d/egressd.fish\' zsh\\t\'For /usr/share/zsh/vendor-completions/_egressd\''
complete -c egressd -n '__egressd_at completions' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at man' -a 'egressd\\t\'The program: egressd\' egressd.toml\\t\'Its configuration: egressd.toml\''
complete -c egressd -n '__egressd_at man' -s h -l help -d 'Print help'
complete -c egressd -n '__egressd_at help' -a run -d 'Runs the daemon: checks on a schedule, serves metrics and status'
complete -c egressd -n '__egressd_at help' -a check -d 'Checks once, with the controls that are needed, and ends: 0 ok, 1 degraded, 2 broken, 3 unknown'
complete -c egressd -n '__egressd_at help' -a explain -d 'Says what a cause means, who acts, and how it is decided'
complete -c egressd -n '__egressd_at help' -a lint -d 'Says what is wrong with a request before it is sent'
complete -c egressd -n '__egressd_at help' -a config -d 'Looks after configurations'
complete -c egressd -n '__egressd_at help' -a completions -d 'Prints completions for a shell'
complete -c egressd -n '__egressd_at help' -a man -d 'Prints a page of the manual'
