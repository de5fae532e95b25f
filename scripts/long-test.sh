# Sourced by what runs one test for long over either transport. From the caller's words it takes --transport into
# $transport, and the other two into $first and $second; `run_test NAME` runs the test of that name.
. "$(dirname -- "$0")/help.sh"
cd "$(dirname -- "$0")/.."
first=
second=
transport=kernel
while [ $# -gt 0 ]; do
  case $1 in
    --transport) transport=${2:?}; shift 2 ;;
    *) if [ -z "$first" ]; then first=$1; else second=$1; fi; shift ;;
  esac
done

# run_test NAME: test/NAME/NAME.test.ts over the kernel's sockets, test/lab/NAME.test.ts over ours.
run_test() {
  case $transport in
    kernel) exec npx --no-install vitest run --project contract "test/$1/$1.test.ts" ;;
    userspace)
      scripts/setup.sh
      exec npx --no-install vitest run --project lab "test/lab/$1.test.ts"
      ;;
    *) echo "$1: no transport '$transport'" >&2; exit 1 ;;
  esac
}
