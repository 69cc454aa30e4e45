# Proposes the workspace's tree. Runs inside the sandbox; $1 is the base commit, $2 is `changes` (print what differs from
# the base, as `git diff-index --raw -z` does) or `bundle` (write a bundle of one commit on top of the base, nothing when
# the tree is the base's), $3 is the largest size of a file in bytes.
# A repository and settings of its own, so that nothing that was done to /code/.git or to the agent's home has a say.
set -eu
base=$1
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
work=$(mktemp -d)
mkdir "$work/ignore"
: > "$work/moved"

# Puts every .gitignore back as the agent left it.
put_back() {
  n=0
  while IFS= read -r -d '' name; do
    n=$((n + 1))
    rm -f -- "$name"
    if [ -e "$work/ignore/$n" ] || [ -L "$work/ignore/$n" ]; then
      mkdir -p -- "$(dirname -- "$name")"
      mv -- "$work/ignore/$n" "$name"
    fi
  done < "$work/moved"
}
trap 'put_back; rm -rf "$work"' EXIT

git init --quiet --bare --template= "$work/git"
git --git-dir="$work/git" config core.bare false
export GIT_DIR="$work/git" GIT_WORK_TREE=/code
git config advice.addEmbeddedRepo false
git config core.excludesFile /dev/null
echo /mirror/objects > "$GIT_DIR/objects/info/alternates"
git read-tree "$base"
git update-index -q --refresh > /dev/null 2>&1 || true
cd /code

# What is ignored is for the base to say: its .gitignore files stand while files are added, and only then the new ones.
set_aside() {
  n=$((n + 1))
  printf '%s\0' "$1" >> "$work/moved"
  if [ -e "$1" ] || [ -L "$1" ]; then mv -- "$1" "$work/ignore/$n"; fi
}
n=0
git diff-files -z --name-only -- '.gitignore' '*/.gitignore' > "$work/changed"
while IFS= read -r -d '' name; do
  set_aside "$name"
  git --literal-pathspecs checkout-index --force -- "$name" || true
done < "$work/changed"
declare -A tracked ignored
while IFS= read -r -d '' name; do tracked[$name]=1; done < <(git ls-files -z -- '.gitignore' '*/.gitignore')
git ls-files --others -z -- '.gitignore' '*/.gitignore' > "$work/new"
while IFS= read -r -d '' source && IFS= read -r -d '' _ && IFS= read -r -d '' pattern && IFS= read -r -d '' name; do
  if [ -n "${tracked[$source]-}" ] && [ "${pattern:0:1}" != '!' ]; then ignored[$name]=1; fi
done < <(git check-ignore --no-index -v -z --stdin < "$work/new" || true)
# A new folder that ignores all of itself, as caches of tools do, is no work.
ignores_itself() {
  folder=${1%/*}
  [ "$folder" != "$1" ] && [ -f "$1" ] && [ ! -L "$1" ] && [ "$(grep -v '^[[:space:]]*\(#.*\)\?$' -- "$1")" = '*' ] &&
    [ -z "$(git --literal-pathspecs ls-files -- "$folder" | head -n 1)" ]
}
while IFS= read -r -d '' name; do
  if [ "${name##*/}" != .gitignore ] || [ -n "${ignored[$name]-}" ] || ignores_itself "$name"; then continue; fi
  set_aside "$name"
done < "$work/new"

# Repositories inside the repository are nobody's work to commit: git names each as a folder.
printf '.\0' > "$work/what"
git ls-files --others --modified --exclude-standard -z > "$work/candidates"
while IFS= read -r -d '' name; do
  case $name in
  */)
    printf ':(exclude,literal)%s\0' "${name%/}" >> "$work/what"
    printf 'runyard-nested: %q\n' "${name%/}" >&2
    ;;
  esac
done < "$work/candidates"
# Among what differs, files that no commit could hold are told without being read: a check may leave what it built. The
# size and the time of the last change stand for the content.
: > "$work/large"
if [ "$2" = changes ]; then
  find -files0-from "$work/candidates" -maxdepth 0 -type f -size "+$3c" -print0 > "$work/large" 2> /dev/null || true
  while IFS= read -r -d '' name; do
    printf ':(exclude,literal)%s\0' "$name" >> "$work/what"
  done < "$work/large"
  : > "$work/candidates"
fi
large=$(xargs --null --no-run-if-empty stat --printf '%s %N\n' -- < "$work/candidates" 2> /dev/null |
  awk -v most="$3" '$1 > most { print; if (++found == 3) exit }' || true)
if [ -n "$large" ]; then
  printf '%s\n' "$large" | sed 's/^/runyard-large: /' >&2
  exit 3
fi
add() { git add --all --pathspec-from-file="$work/what" --pathspec-file-nul; }
if ! add 2> "$work/complaint"; then
  # What the agent may not read itself it can make readable.
  find . -path ./.git -prune -o ! -type l ! -perm -u+r -exec chmod u+rwX {} + || true
  add
fi
put_back
while IFS= read -r -d '' name; do
  if [ -e "$name" ] || [ -L "$name" ]; then
    git --literal-pathspecs add --force -- "$name"
  else
    git --literal-pathspecs rm --quiet --cached --ignore-unmatch -- "$name"
  fi
done < "$work/moved"
: > "$work/moved"

# The agent's own notes stay as the base has them.
notes=.aviator/current_session_learnings.md
git rm --quiet --cached --ignore-unmatch -- "$notes"
git ls-tree "$base" -- "$notes" | while read -r mode _ id _; do
  git update-index --add --cacheinfo "$mode,$id,$notes"
done

if [ "$2" = changes ]; then
  git diff-index --cached --raw --no-renames --no-abbrev -z "$base"
  while IFS= read -r -d '' name; do
    status=A
    if [ -n "$(git --literal-pathspecs ls-files -- "$name")" ]; then status=M; fi
    printf ':000000 100644 0 %s %s\0%s\0' "$(stat --printf '%s-%Y' -- "$name")" "$status" "$name"
  done < "$work/large"
  exit 0
fi
tree=$(git write-tree)
if [ "$tree" = "$(git rev-parse "$base^{tree}")" ]; then exit 0; fi
export GIT_AUTHOR_NAME=sandbox GIT_AUTHOR_EMAIL=sandbox@localhost GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=sandbox GIT_COMMITTER_EMAIL=sandbox@localhost GIT_COMMITTER_DATE='@0 +0000'
commit=$(echo proposed | git commit-tree "$tree" -p "$base")
echo "$commit" > "$GIT_DIR/HEAD"
git bundle create --quiet - HEAD "^$base"
