// ONNX Runtime as its users run it: batches of 32 in the order in which texts come, padded to the
// longest of each.
//
//   node encoder_peer.mjs ONNXRUNTIME_FOLDER MODEL.onnx LENGTHS THREADS
//
// Prints texts a second over all lengths of the file, after a pass over some to warm up.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, model, lengthsPath, threads] = process.argv.slice(2);
const ort = createRequire(folder + "/")("onnxruntime-node");
const lengths = readFileSync(lengthsPath, "utf8").trim().split("\n").map(Number);
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: Number(threads), interOpNumThreads: 1, graphOptimizationLevel: "all",
});

async function run(texts) {
  for (let at = 0; at < texts.length; at += 32) {
    const part = texts.slice(at, at + 32);
    const longest = Math.max(...part);
    const ids = new BigInt64Array(part.length * longest).fill(1n);
    const mask = new BigInt64Array(part.length * longest);
    part.forEach((length, i) => {
      for (let k = 0; k < length; k++) {
        ids[i * longest + k] = BigInt((k * 97) % 50265);
        mask[i * longest + k] = 1n;
      }
    });
    const shape = [part.length, longest];
    await session.run({ ids: new ort.Tensor("int64", ids, shape), mask: new ort.Tensor("int64", mask, shape) });
  }
}

await run(lengths.slice(0, 64));
const begin = performance.now();
await run(lengths);
console.log((lengths.length / ((performance.now() - begin) / 1000)).toFixed(2));
process.exit(0);
