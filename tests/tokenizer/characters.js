#!/usr/bin/env node
// Asks the reference implementation, character by character, what it takes each one for, and prints
// services/classify/encoder/characters_table.h.
//
//   npm install --ignore-scripts tokenizers      (in a folder of its own)
//   NODE_PATH=FOLDER/node_modules tests/tokenizer/characters.js > characters_table.h
//
// The reference mixes several Unicode versions (each of its libraries brings one), so its answers
// are asked for instead of derived. Takes a minute.
const t = require("tokenizers");
const { version } = require("tokenizers/package.json");

const NAMES = ["LETTER", "NUMBER", "SPACE", "WORD", "PUNCTUATION", "NUMERIC", "DECIMAL", "REMOVED",
               "ACCENT", "MARK", "UNORDERED"];

// How many pieces a regular expression makes of each text.
async function splits(regex, texts) {
    const counter = t.Tokenizer.fromString(JSON.stringify({
        version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null,
        pre_tokenizer: { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
        post_processor: null, decoder: null,
        model: { type: "WordLevel", vocab: { "[UNK]": 0 }, unk_token: "[UNK]" },
    }));
    return (await counter.encodeBatch(texts)).map((encoding) => encoding.getLength());
}

async function main() {
    const only = (what) => t.bertNormalizer({ cleanText: false, handleChineseChars: false,
                                              stripAccents: false, lowercase: false, ...what });
    const clean = only({ cleanText: true }), accents = only({ stripAccents: true });
    const marks = t.stripAccentsNormalizer(), nfd = t.nfdNormalizer();
    const punctuation = t.punctuationPreTokenizer(), words = t.whitespacePreTokenizer();
    const digits = t.digitsPreTokenizer(true), space = t.whitespaceSplitPreTokenizer();
    const gpt2 = t.byteLevelPreTokenizer(false, true);
    const pieces = (how, text) => how.preTokenizeString(text).length;

    const rows = [], kinds = [];
    let before = -1;
    for (let first = 0; first < 0x110000; first += 0x4000) {
        const codes = Array.from({ length: 0x4000 }, (_, i) => first + i)
            .filter((c) => c < 0xd800 || c > 0xdfff);
        const inside = codes.map((c) => "x" + String.fromCodePoint(c) + "x");
        const decimal = await splits("\\d", inside);
        codes.forEach((c, i) => {
            const one = String.fromCodePoint(c), text = inside[i];
            const decomposed = nfd.normalizeString(one);
            // A mark that takes part in canonical ordering changes places with one of another class.
            const ordered = decomposed !== one ||
                nfd.normalizeString("x" + one + "\u0334") !== "x" + one + "\u0334" ||
                nfd.normalizeString("x\u0345" + one) !== "x\u0345" + one ||
                c === 0x334 || c === 0x345;
            const yes = {
                LETTER: pieces(gpt2, "x" + one) === 1,
                NUMBER: pieces(gpt2, "1" + one) === 1,
                SPACE: pieces(space, text) === 2,
                WORD: pieces(words, text) === 1,
                PUNCTUATION: pieces(punctuation, text) === 3,
                NUMERIC: pieces(digits, text) === 3,
                DECIMAL: decimal[i] === 3,
                REMOVED: clean.normalizeString(text) === "xx",
                ACCENT: accents.normalizeString(one) === "",
                MARK: marks.normalizeString(text) === "xx",
                UNORDERED: !ordered && /\p{M}/u.test(one),
            };
            const kind = NAMES.filter((name) => yes[name]).join(" | CHARACTER_") || "NONE";
            if (!kinds.includes(kind)) kinds.push(kind);
            if (kinds.indexOf(kind) !== before) {
                before = kinds.indexOf(kind);
                rows.push(`0x${c.toString(16)}${before.toString(16).padStart(2, "0")}`);
            }
        });
    }
    const lines = [];
    for (let i = 0; i < rows.length; i += 10) lines.push("    " + rows.slice(i, i + 10).join(", ") + ",");
    console.log(`/* Written by tests/tokenizer/characters.js from the answers of tokenizers ${version}.
 * Private to characters.c. */
#ifndef LEAT_ENCODER_CHARACTERS_TABLE_H
#define LEAT_ENCODER_CHARACTERS_TABLE_H

#include "services/classify/encoder/characters.h"

/* clang-format off */
static const uint16_t characters_kinds[] = {
${kinds.map((k) => `    CHARACTER_${k},`).join("\n")}
};

/* Where each run of characters of one kind begins, shifted left by 8, and its kind. */
static const uint32_t characters_runs[] = {
${lines.join("\n")}
};
/* clang-format on */

#endif`);
}

main();
