# Proposes the workspace's tree. Runs inside the sandbox; $1 is the base commit, $2 is `tree` (print the tree's id) or
# `bundle` (write a bundle of one commit on top of the base, nothing when the tree is the base's).
# A repository of its own, so that nothing that was done to /code/.git has a say.
set -eu
base=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git init --quiet --bare --template= "$work/git"
git --git-dir="$work/git" config core.bare false
export GIT_DIR="$work/git" GIT_WORK_TREE=/code
git config advice.addEmbeddedRepo false
echo /mirror/objects > "$GIT_DIR/objects/info/alternates"
git read-tree "$base"
git update-index -q --refresh > /dev/null 2>&1 || true
cd /code
# What is ignored is for the base to say: its .gitignore files stand while files are added, and only then the new ones.
mkdir "$work/ignore"
n=0
{ git diff-files -z --name-only -- '.gitignore' '*/.gitignore'; git ls-files --others -z -- '.gitignore' '*/.gitignore'; } > "$work/names"
while IFS= read -r -d '' name; do
  n=$((n + 1))
  printf '%s\0' "$name" >> "$work/moved"
  if [ -e "$name" ] || [ -L "$name" ]; then mv -- "$name" "$work/ignore/$n"; fi
  if git ls-files --error-unmatch -- "$name" > /dev/null 2>&1; then git checkout-index --force -- "$name" || true; fi
done < "$work/names"
git add --all -- .
if [ "$n" -gt 0 ]; then
  n=0
  while IFS= read -r -d '' name; do
    n=$((n + 1))
    rm -f -- "$name"
    if [ -e "$work/ignore/$n" ] || [ -L "$work/ignore/$n" ]; then
      mkdir -p -- "$(dirname -- "$name")"
      mv -- "$work/ignore/$n" "$name"
      git add --force -- "$name"
    else
      git rm --quiet --cached --ignore-unmatch -- "$name"
    fi
  done < "$work/moved"
fi
git rm --quiet --cached --ignore-unmatch -- .aviator/current_session_learnings.md
tree=$(git write-tree)
if [ "$2" = tree ]; then
  echo "$tree"
  exit 0
fi
if [ "$tree" = "$(git rev-parse "$base^{tree}")" ]; then exit 0; fi
export GIT_AUTHOR_NAME=sandbox GIT_AUTHOR_EMAIL=sandbox@localhost GIT_AUTHOR_DATE='@0 +0000'
export GIT_COMMITTER_NAME=sandbox GIT_COMMITTER_EMAIL=sandbox@localhost GIT_COMMITTER_DATE='@0 +0000'
commit=$(echo proposed | git commit-tree "$tree" -p "$base")
echo "$commit" > "$GIT_DIR/HEAD"
git bundle create --quiet - HEAD "^$base"
