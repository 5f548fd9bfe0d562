# bash completion for the Ksplice tools: options as --help lists them, ids of updates, tarballs, folders.
# shellcheck shell=bash

# _ksplice_options PROGRAM: its long options, as --help knows them. CLI11 joins names with commas.
_ksplice_options() { "$1" --help 2>/dev/null | grep -oE '(^|[ ,!])--[a-z][a-z-]*' | tr -d ' ,!' | sort -u; }

# _ksplice_ids: what the kernel has, and what is stored.
_ksplice_ids() {
  ksplice-view -q 2>/dev/null
  find /var/lib/ksplice/updates /run/ksplice/updates -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null
}

_ksplice() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${1##*/} option=
  # bash cuts words at "=".
  if [ "$word" = "=" ]; then option=$before word=; elif [ "$before" = "=" ]; then option=${COMP_WORDS[COMP_CWORD - 2]}; else option=$before; fi
  COMPREPLY=()
  case $option in
    --id | --on-top-of)
      [ "$program" = ksplice-create ] || mapfile -t COMPREPLY < <(compgen -W "$(_ksplice_ids)" -- "$word")
      [ "$option" = --id ] && return ;;
    --watch)
      mapfile -t COMPREPLY < <(compgen -W "$(_ksplice_ids)" -- "$word")
      return ;;
    --lift)
      mapfile -t COMPREPLY < <(compgen -W "$(ksplice-view 2>/dev/null | sed -n 's/: in quarantine: .*//p')" -- "$word")
      return ;;
    --late) mapfile -t COMPREPLY < <(compgen -W "patch refuse allow" -- "$word") && return ;;
    --config | --init-config | --root | --output | --cache | --module-source | --to-source | --extract-modules)
      compopt -o filenames 2>/dev/null || :
      mapfile -t COMPREPLY < <(compgen -d -- "$word")
      return ;;
    --duration | --top | --tripwire) return ;;
    --svg)
      compopt -o filenames 2>/dev/null || :
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return ;;
    --cve | --expires | --generation | --timeout | --attempts | --late-timeout | --description | --probation | --health-command) return ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_ksplice_options "$1")" -- "$word")
  elif [ "$program" = ksplice-boot ]; then
    :
  elif [ "$program" = ksplice-undo ]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_ksplice_ids)" -- "$word")
  elif [ "$program" = ksplice-trace ]; then
    compopt -o filenames 2>/dev/null || :
    mapfile -t COMPREPLY < <(compgen -W "$(_ksplice_ids)" -- "$word"; compgen -f -- "$word")
  else
    compopt -o filenames 2>/dev/null || :
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}

complete -F _ksplice ksplice-apply ksplice-boot ksplice-trace ksplice-undo ksplice-view ksplice-create ksplice-sign
