// Tokenizers with normalizers, pre-tokenizers, added tokens and processors thrown together: what no
// model of the hub has, but a file may ask for.
const fs = require("fs"), path = require("path");
const { random } = require("./texts.js");

const DATA = path.join(__dirname, "../data/tokenizer");
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const QWEN = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const REGEXES = [GPT2, QWEN, "\\s+", "\\s", " {2,}", "\\d", "\\d+", "\\p{N}{1,3}", "\\p{L}+", "\\S+", "e", "the", "\\.", "a{2,3}", "\n+"];
const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];

function mixes(seed, count) {
    const next = random(seed), flip = (p = 0.5) => next() < p;
    const pick = (list) => list[Math.floor(next() * list.length)];
    const load = (name) => JSON.parse(fs.readFileSync(path.join(DATA, name), "utf8"));
    const charsmap = load("xlmr.json").normalizer.precompiled_charsmap;
    const pattern = () => flip() ? { Regex: pick(REGEXES) } : { String: pick([" ", "a", "the", "\u2581", ".", "``", "\u00e9", "  "]) };
    const content = () => pick(["", " ", "\u2581", "x", " y ", "\u00c9", "  "]);

    const normalizers = [
        () => ({ type: "BertNormalizer", clean_text: flip(), handle_chinese_chars: flip(), strip_accents: pick([null, true, false]), lowercase: flip() }),
        () => ({ type: pick(["NFC", "NFD", "NFKC", "NFKD"]) }), () => ({ type: pick(["NFC", "NFD", "NFKC", "NFKD"]) }),
        () => ({ type: "Lowercase" }), () => ({ type: "StripAccents" }), () => ({ type: "Nmt" }),
        () => ({ type: "Strip", strip_left: flip(), strip_right: flip() }), () => ({ type: "Prepend", prepend: pick(["\u2581", " ", "ab", "x "]) }),
        () => ({ type: "Replace", pattern: pattern(), content: content() }), () => ({ type: "Precompiled", precompiled_charsmap: charsmap }),
        () => ({ type: "ByteLevel" }),
    ];
    const preTokenizers = [
        () => ({ type: "BertPreTokenizer" }), () => ({ type: "ByteLevel", add_prefix_space: flip(), trim_offsets: flip(), use_regex: flip() }),
        () => ({ type: "Metaspace", replacement: pick(["\u2581", "_"]), prepend_scheme: pick(["always", "first", "never", "first"]), split: flip() }),
        () => ({ type: "Whitespace" }), () => ({ type: "WhitespaceSplit" }), () => ({ type: "Punctuation", behavior: pick(BEHAVIORS) }),
        () => ({ type: "Digits", individual_digits: flip() }), () => ({ type: "CharDelimiterSplit", delimiter: pick([" ", "e", ".", "\u4e2d"]) }),
        () => ({ type: "Split", pattern: pattern(), behavior: pick(BEHAVIORS), invert: flip(0.3) }),
    ];
    const sequence = (makers, type, key) => {
        const n = Math.floor(next() * 4);
        if (n === 0) return null;
        const list = Array.from({ length: n }, () => pick(makers)());
        return n === 1 && flip() ? list[0] : { type, [key]: list };
    };
    const vocabulary = (model) => new Set(Array.isArray(model.vocab) ? model.vocab.map(([token]) => token) : Object.keys(model.vocab));
    const added = (model) => {
        const known = vocabulary(model), contents = ["<mask>", "newword", "New Word", "[CLS]", "the", "\u00c9t", " x", "a", "\u4e2d", "!!", "\ud83d\ude00", "  ", "ing"];
        let id = Array.isArray(model.vocab) ? model.vocab.length : known.size;
        return contents.filter(() => flip(0.3)).filter((x) => !known.has(x)).map((text) => ({
            id: id++, content: text, single_word: flip(0.3), lstrip: flip(0.3), rstrip: flip(0.3), normalized: flip(), special: flip() }));
    };
    const models = ["bert-uncased.json", "bert-cased.json", "roberta.json", "llama3.json", "llama2.json", "xlmr.json", "albert.json"].map((name) => load(name).model);
    const model = () => {
        const one = { ...pick(models) };
        if (one.max_input_chars_per_word) one.max_input_chars_per_word = pick([100, 5, 20]);
        if (one.merges) Object.assign(one, { ignore_merges: flip(), fuse_unk: flip(), byte_fallback: flip(),
                                             unk_token: flip() ? "<unk>" : null, continuing_subword_prefix: pick([null, null, ""]),
                                             end_of_word_suffix: pick([null, null, "", "s"]) });
        else if (Array.isArray(one.vocab)) one.byte_fallback = flip();
        return one;
    };
    return Array.from({ length: count }, () => {
        const one = model();
        const normalizer = sequence(normalizers, "Sequence", "normalizers");
        const preTokenizer = sequence(preTokenizers, "Sequence", "pretokenizers");
        // Which piece stands at the text's beginning, which "first" asks for, the reference miscounts
        // after Precompiled; that is followed as far as one step goes, not through several.
        if (normalizer?.normalizers?.some(({ type }) => type === "Precompiled"))
            for (const step of preTokenizer?.pretokenizers ?? [])
                if (step.prepend_scheme === "first") step.prepend_scheme = "always";
        return {
            version: "1.0", truncation: flip(0.3) ? { direction: pick(["Left", "Right"]), max_length: 8, strategy: "LongestFirst", stride: 0 } : null,
            padding: null, added_tokens: added(one), normalizer, pre_tokenizer: preTokenizer, post_processor: null, decoder: null, model: one };
    });
}

module.exports = { mixes };
