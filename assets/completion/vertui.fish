# Completion of vertui for fish. What may stand there is asked of vertui itself, which starts nothing for that.
function __vertui_offered
    set -l words (commandline -opc)
    set -l found ($words[1] --complete fish (commandline -cp | string collect) 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command vertui --no-files --keep-order --arguments '(__vertui_offered)'
