# Takes out of the agent's home what its program reads by itself: settings, hooks, memory, plug-ins, conversations.
# Runs inside the sandbox. What else lies there, such as the caches of tools, stays.
set -eu
shopt -s nullglob
cd /home/agent
left=(.claude .claude.json* instructions.md)
rm -rf -- "${left[@]}" 2> /dev/null || {
  chmod -R u+rwX -- "${left[@]}" 2> /dev/null || true
  rm -rf -- "${left[@]}"
}
