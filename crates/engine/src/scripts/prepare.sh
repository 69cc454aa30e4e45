# Puts the workspace on a commit: tracked files as the commit has them, untracked ones gone, ignored ones kept.
# Runs inside the sandbox; $1 is the commit. Whatever was done to .git before is forgotten with it.
set -eu
cd /code
rm -rf .git
git init --quiet --template= .
mkdir -p .git/objects/info
echo /mirror/objects > .git/objects/info/alternates
git read-tree "$1"
git ls-files --others -z -- '.gitignore' '*/.gitignore' | xargs --null --no-run-if-empty rm -f --
git update-index -q --refresh > /dev/null 2>&1 || true
echo "$1" > .git/HEAD
git reset --quiet --hard "$1"
git clean --quiet -ffd
