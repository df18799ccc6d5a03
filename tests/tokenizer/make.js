#!/usr/bin/env node
// Makes the small tokenizers of tests/data/tokenizer: the vocabularies are trained on the sample
// texts by the reference implementation's own trainers and cut down; the rest of each file is what
// models of its kind have on the hub.
//
//   NODE_PATH=FOLDER/node_modules tests/tokenizer/make.js [CHARSMAP]
//
// CHARSMAP: base64 of SentencePiece's nmt_nfkc table, as any model that spm_train made has it;
// without it the one in xlmr.json is kept.
const fs = require("fs"), path = require("path"), os = require("os");
const t = require("tokenizers");
const { WRITTEN, sample } = require("./texts.js");

const OUT = path.join(__dirname, "../data/tokenizer");
const TOKENS = 1500;

const added = (id, content, flags = {}) => ({ id, content, single_word: false, lstrip: false, rstrip: false,
                                              normalized: false, special: true, ...flags });
const file = (parts) => ({ version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null,
                           pre_tokenizer: null, post_processor: null, decoder: null, ...parts });

function corpus() {
    const name = path.join(os.tmpdir(), `leat-corpus-${process.pid}.txt`);
    fs.writeFileSync(name, [...sample(), ...WRITTEN].filter((text) => !text.includes("\0")).join("\n").toWellFormed());
    return name;
}

// The model that the reference trains: its JSON.
function trained(model, normalizer, preTokenizer, texts) {
    const tokenizer = new t.Tokenizer(model), out = texts + ".json";
    if (normalizer) tokenizer.setNormalizer(normalizer);
    if (preTokenizer) tokenizer.setPreTokenizer(preTokenizer);
    tokenizer.train([texts]);
    tokenizer.save(out);
    const json = JSON.parse(fs.readFileSync(out, "utf8"));
    fs.unlinkSync(out);
    return json.model;
}

const byId = (vocab) => Object.entries(vocab).sort((a, b) => a[1] - b[1]).map(([token]) => token);
const numbered = (tokens) => Object.fromEntries(tokens.map((token, id) => [token, id]));
const halves = (merge) => Array.isArray(merge) ? merge : merge.split(" ");

function wordPiece(texts, specials, normalizer) {
    const model = trained(t.WordPiece.init({ "[UNK]": 0 }, { unkToken: "[UNK]" }), normalizer, t.bertPreTokenizer(), texts);
    return numbered([...specials, ...byId(model.vocab).filter((x) => !specials.includes(x))].slice(0, TOKENS));
}

function bytePairs(texts, specials, normalizer, preTokenizer, alphabet, tokens = TOKENS) {
    const model = trained(t.BPE.empty(), normalizer, preTokenizer, texts);
    const single = [...new Set([...alphabet, ...byId(model.vocab).filter((x) => [...x].length === 1)])];
    const merges = model.merges.map(halves).slice(0, tokens - specials.length - single.length);
    return { vocab: numbered([...new Set([...specials, ...single, ...merges.map((m) => m.join(""))])]), merges };
}

function unigram(texts, specials, normalizer, preTokenizer) {
    const model = trained(t.Unigram.init([["<unk>", 0]], { unkId: 0 }), normalizer, preTokenizer, texts);
    const pieces = model.vocab.filter(([token]) => !specials.includes(token)).sort((a, b) => b[1] - a[1]);
    return [...specials.map((token) => [token, 0]), ...pieces.slice(0, TOKENS)];
}

function make(name, json) {
    t.Tokenizer.fromString(JSON.stringify(json)); // the reference must take it
    fs.writeFileSync(path.join(OUT, name), JSON.stringify(json) + "\n");
    console.log(name, fs.statSync(path.join(OUT, name)).size, "bytes");
}

const template = (first, firstId, last, lastId) => ({
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: first, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: last, type_id: 0 } }],
    pair: [{ SpecialToken: { id: first, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: last, type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }, { SpecialToken: { id: last, type_id: 1 } }],
    special_tokens: { [first]: { id: first, ids: [firstId], tokens: [first] }, [last]: { id: last, ids: [lastId], tokens: [last] } },
});

function bert(texts) {
    const specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    const tokens = specials.map((content, id) => added(id, content));
    const model = (vocab) => ({ type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100, vocab });
    make("bert-uncased.json", file({
        added_tokens: tokens,
        normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
        pre_tokenizer: { type: "BertPreTokenizer" }, post_processor: template("[CLS]", 2, "[SEP]", 3),
        padding: { strategy: "BatchLongest", direction: "Right", pad_to_multiple_of: null, pad_id: 0, pad_type_id: 0, pad_token: "[PAD]" },
        model: model(wordPiece(texts, specials, t.bertNormalizer({ stripAccents: true }))),
    }));
    const cased = wordPiece(texts, specials, t.bertNormalizer({ lowercase: false, stripAccents: false }));
    const size = Object.keys(cased).length;
    make("bert-cased.json", file({ // with tokens of its own, and in the form of older files
        added_tokens: [...tokens, added(size, "newword", { special: false, normalized: true, single_word: true }),
                       added(size + 1, "\u00c5 b", { special: false, normalized: true, rstrip: true }),
                       added(size + 2, "[NEW]", { lstrip: true, rstrip: true })],
        normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: false },
        pre_tokenizer: { type: "BertPreTokenizer" }, post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
        truncation: { direction: "Left", max_length: 64, strategy: "LongestFirst", stride: 0 },
        model: { ...model(cased), type: undefined },
    }));
}

function roberta(texts) {
    const specials = ["<s>", "<pad>", "</s>", "<unk>"];
    const { vocab, merges } = bytePairs(texts, specials, null, t.byteLevelPreTokenizer(false, true), t.byteLevelAlphabet());
    const mask = Object.keys(vocab).length;
    make("roberta.json", file({
        added_tokens: [...specials.map((content, id) => added(id, content, { normalized: true })), added(mask, "<mask>", { lstrip: true })],
        pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
        post_processor: { type: "RobertaProcessing", sep: ["</s>", 2], cls: ["<s>", 0], trim_offsets: true, add_prefix_space: false },
        model: { dropout: null, unk_token: null, continuing_subword_prefix: "", end_of_word_suffix: "", fuse_unk: false,
                 vocab: { ...vocab, "<mask>": mask }, merges: merges.map((m) => m.join(" ")) },
    }));
    make("llama3.json", file({
        added_tokens: specials.map((content, id) => added(id, content)),
        pre_tokenizer: { type: "Sequence", pretokenizers: [
            { type: "Split", pattern: { Regex: "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" }, behavior: "Isolated", invert: false },
            { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false }] },
        post_processor: { type: "Sequence", processors: [{ type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true }, template("<s>", 0, "</s>", 2)] },
        model: { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null,
                 fuse_unk: false, byte_fallback: false, ignore_merges: true, vocab, merges },
    }));
}

function llama2(texts) {
    const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
    const specials = ["<unk>", "<s>", "</s>", ...bytes];
    const { vocab, merges } = bytePairs(texts, specials, t.sequenceNormalizer([t.prependNormalizer("\u2581"), t.replace(" ", "\u2581")]),
                                        t.metaspacePreTokenizer("\u2581", "never", true), [], 1100);
    make("llama2.json", file({
        added_tokens: [0, 1, 2].map((id) => added(id, specials[id], { normalized: id === 0 })),
        normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "\u2581" }, { type: "Replace", pattern: { String: " " }, content: "\u2581" }] },
        post_processor: template("<s>", 1, "</s>", 2),
        model: { type: "BPE", dropout: null, unk_token: "<unk>", continuing_subword_prefix: null, end_of_word_suffix: null,
                 fuse_unk: true, byte_fallback: true, ignore_merges: false, vocab, merges },
    }));
}

function sentencePiece(texts, charsmap) {
    const specials = ["<s>", "<pad>", "</s>", "<unk>"];
    const blob = [...Buffer.from(charsmap, "base64")];
    const xlmr = unigram(texts, specials, t.precompiled(blob), t.metaspacePreTokenizer("\u2581", "always", true));
    make("xlmr.json", file({
        added_tokens: [...specials.map((content, id) => added(id, content)), added(xlmr.length, "<mask>", { lstrip: true })],
        normalizer: { type: "Precompiled", precompiled_charsmap: charsmap },
        pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, { type: "Metaspace", replacement: "\u2581", prepend_scheme: "always", split: true }] },
        post_processor: template("<s>", 0, "</s>", 2),
        model: { type: "Unigram", unk_id: 3, vocab: [...xlmr, ["<mask>", 0]], byte_fallback: false },
    }));
    const names = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"];
    const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
    const normalizers = [t.replace("``", '"'), t.replace("''", '"'), t.nfkdNormalizer(), t.stripAccentsNormalizer(), t.lowercase()];
    const albert = unigram(texts, [...names, ...bytes], t.sequenceNormalizer(normalizers), t.metaspacePreTokenizer("\u2581", "first", true));
    make("albert.json", file({
        added_tokens: [...[0, 1, 2, 3].map((id) => added(id, names[id])), added(4, "[MASK]", { lstrip: true })],
        normalizer: { type: "Sequence", normalizers: [
            { type: "Replace", pattern: { String: "``" }, content: '"' }, { type: "Replace", pattern: { String: "''" }, content: '"' }, { type: "NFKD" }, { type: "StripAccents" },
            { type: "Lowercase" }, { type: "Nmt" }, { type: "Strip", strip_left: false, strip_right: true }, { type: "Replace", pattern: { Regex: " {2,}" }, content: " " }] },
        pre_tokenizer: { type: "Metaspace", replacement: "\u2581", prepend_scheme: "first", split: true },
        post_processor: template("[CLS]", 2, "[SEP]", 3),
        model: { type: "Unigram", unk_id: 1, vocab: albert, byte_fallback: true },
    }));
}

function main() {
    fs.mkdirSync(OUT, { recursive: true });
    const charsmap = process.argv[2] ? fs.readFileSync(process.argv[2], "utf8").trim()
        : JSON.parse(fs.readFileSync(path.join(OUT, "xlmr.json"), "utf8")).normalizer.precompiled_charsmap;
    const texts = corpus();
    bert(texts);
    roberta(texts);
    llama2(texts);
    sentencePiece(texts, charsmap);
    fs.unlinkSync(texts);
}

main();
