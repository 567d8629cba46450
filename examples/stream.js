// allocate --stream as a child of Node: a line out, a line in, and a bad line on the way.
const {spawn} = require("node:child_process");
const {createInterface} = require("node:readline");

const options = ["allocate", "-", "--stream", "--strategy", "rebase", "--budget", "16"];
const child = spawn("dora-theory", options, {stdio: ["pipe", "pipe", "inherit"]});
const ended = new Promise((resolve) => child.on("close", resolve));
const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]();

async function ask(line) {
  child.stdin.write(line + "\n");
  return JSON.parse((await lines.next()).value);
}

async function main() {
  const problems = [
    JSON.stringify({id: 1, scores: [0.9, 0.5, 0.5]}),
    '{"id": 2, "scores": [0.9, 0.5,',
    JSON.stringify({id: 3, scores: [0.7, 0.7, 0.1]}),
  ];
  for (const line of problems) {
    const answer = await ask(line);
    console.log(answer.error ? `bad line: ${answer.error}` : `${answer.id}: ${answer.allocation}`);
  }
  child.stdin.end();
  console.log(`exit status ${await ended}`);
}

main();
