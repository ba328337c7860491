# Read by the rollout scripts: ARTIFACT IMAGE PERCENT, refused before anything is changed.
refuse() {
  echo "$1" >&2
  echo "usage: rollout.sh ARTIFACT IMAGE@sha256:DIGEST PERCENT" >&2
  exit 2
}
[ $# -eq 3 ] || refuse "Three arguments are needed, and there are $#."
artifact=$1 image=$2 percent=$3
[ -f "$artifact/replay/replay.jsonl" ] && [ -f "$artifact/replay/replay_check.py" ] ||
  refuse "$artifact has no recorded requests (replay/). Name the folder of a proven artifact."
no_digest="$image is no image by its digest, as NAME@sha256:DIGEST. A tag may be another image tomorrow."
case "$image" in
  *[!A-Za-z0-9._/:@-]*) refuse "$no_digest" ;;
esac
printf '%s\n' "$image" | grep -Eqx '[A-Za-z0-9][A-Za-z0-9._/:-]*@sha256:[0-9a-f]{64}' ||
  refuse "$no_digest"
case "$percent" in
  [0-9] | [1-9][0-9] | 100) ;;
  *) refuse "$percent is no percentage: give a whole number from 0 to 100." ;;
esac

# What is said if a rollout does not come to its end; each step changes it before it begins.
# shellcheck disable=SC2034 # the scripts that read this file change it
left="Nothing was changed."
tidy() { :; }
say_what_stays() {
  ended=$?
  [ "$ended" -ne 0 ] || return 0
  trap '' HUP INT TERM
  tidy
  printf '%s\n' "$left" >&2
}
trap say_what_stays EXIT
trap 'exit 1' HUP INT TERM
