# Puts the workspace on a commit: tracked files as the commit has them, untracked ones gone, ignored ones kept.
# Runs inside the sandbox; $1 is the commit. Whatever was done to .git before is forgotten with it, and settings in the
# agent's home have no say.
set -eu
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
cd /code
rm -rf .git 2> /dev/null || { chmod -R u+rwX .git; rm -rf .git; }
git init --quiet --template= .
mkdir -p .git/objects/info
echo /mirror/objects > .git/objects/info/alternates
tidy() {
  git read-tree "$1"
  git ls-files --others -z -- '.gitignore' '*/.gitignore' | xargs --null --no-run-if-empty rm -f --
  git update-index -q --refresh > /dev/null 2>&1 || true
  echo "$1" > .git/HEAD
  git -c core.excludesFile=/dev/null reset --quiet --hard "$1" && git -c core.excludesFile=/dev/null clean --quiet -ffd
}
if ! (tidy "$1") 2> /dev/null; then
  # Folders that were made read-only, as module caches are, can be made writable by who made them.
  find . -path ./.git -prune -o -type d ! -perm -u+rwx -exec chmod u+rwx {} + || true
  rm -f .git/index.lock
  tidy "$1"
fi
