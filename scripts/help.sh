# Sourced first by scripts: with --help or -h among the words, prints the comment that the script begins with, and ends.
for word in "$@"; do
  case $word in
    --help | -h) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  esac
done
