// Texts to compare tokenizers on: written ones of every script and oddity, and made-up ones from a
// seed. The same seed gives the same texts.
const fs = require("fs"), path = require("path");

const SAMPLE = path.join(__dirname, "../data/sample");

const WRITTEN = [
    "", " ", "  ", "\n", "\t \n", "a", "A", ".", "...", "!!!???", "-", "\u00a0", "\u3000", "\u200b", "\ufeff", "\ufffd",
    "Hello, world!", "hello   world", " leading", "trailing ", "  both  ", "tab\tand\nnewline\r\nand return\rend",
    "I'm sure they've seen we'll, you're, he'd, it's, can't", "I'M SURE THEY'VE WE'LL YOU'RE HE'D IT'S CAN'T", "'s't're've'm'll'd", "'\u017f x", "rock 'n' roll ''quoted'' `x` ``y''",
    "unaffable antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", "x".repeat(99), "x".repeat(100), "x".repeat(101), "ab".repeat(120), "a ".repeat(80), "\u00e9".repeat(100), "\u00e9".repeat(101),
    "1 12 123 1234 12345678901234567890 3.14159 1,000,000 1e-9 0x1F 50% $3.50 \u20ac4 #5 @six 7th 8:30 9-10 2024-01-31T12:00:00Z",
    "https://example.org/path?q=1&r=a%20b#frag mailto:a.b+c@example.co.uk ftp://x/y_z~1", "C:\\dir\\file.txt snake_case camelCase kebab-case __init__ a/b|c\\d",
    "The caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u00c5ngstr\u00f6m \u00dcber \u00f1and\u00fa", "cafe\u0301 nai\u0308ve A\u030angstro\u0308m e\u0323\u0301 e\u0301\u0323 o\u0302\u0323\u0301", "\u1e9b\u0323 \u01d5 \u1ec7 \u0344 \u2126 \u212b \u00bd \u2460 \ufb01 \ufb03 \ufb06 \u017f \u2122 \u33a1 \uff21\uff42\uff43 \uff11\uff12",
    "\u0130stanbul \u0131 I i \u0130\u0307 STRASSE stra\u00dfe \u1e9e \u03a3\u03c3\u03c2 \u039f\u0394\u039f\u03a3 \u01c5 \u0149",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0401\u043b\u043a\u0430 \u0439\u043e\u0434 \u0438\u0306", "\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \u03ba\u03cc\u03c3\u03bc\u03b5", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u0627\u0644\u0633\u0651\u064e\u0644\u0627\u0645\u064f \u0661\u0662\u0663 \ufdfa \ufefb",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e \u0915\u094d\u0937 \u0958 \u0967\u0968\u0969", "\u09b9\u09cd\u09af\u09be\u09b2\u09cb \u0bb5\u0ba3\u0b95\u0bcd\u0b95\u0bae\u0bcd \u0c28\u0c2e\u0c38\u0c4d\u0c15\u0c3e\u0c30\u0c02 \u0d28\u0d2e\u0d38\u0d4d\u0d15\u0d3e\u0d30\u0d02", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01 \u0e33 \u0ea3\u0eb3", "\u1019\u103c\u1014\u103a\u1019\u102c \u1781\u17d2\u1798\u17c2\u179a \u0f56\u0f7c\u0f51\u0f0b",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u6d4b\u8bd5\u4e00\u4e0b\uff01", "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c \u30ab\u30bf\u30ab\u30ca \uff76\uff9e\uff77 \u304b\u3099 \u304c", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4 \u1112\u1161\u11ab\u1100\u1173\u11af \u3131", "\ud840\udc00\ud869\udf00\ud86e\udd20\ud87e\udc00 \u{20000}\u{2b820}\u{2b920}\u{2f800}", "mixed\u4e2d\u6587and English\uff0c\u6df7\u5408 1\u4e2a",
    "\ud83d\ude00 \ud83d\ude02\ud83d\ude02\ud83d\ude02 ok", "\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67\u200d\ud83d\udc66 \ud83c\uddfa\ud83c\uddf8\ud83c\udde9\ud83c\uddea \ud83d\udc4d\ud83c\udffd \u2764\ufe0f \u263a\ufe0e 1\ufe0f\u20e3", "\ud83c\udff4\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "a\u0000b", "a\u0001b\u0008c\u000bd\u000ce\u001bf\u007fg\u0080h\u0085i\u008fj\u009fk\u00adl", "\u200b\u200c\u200d\u200e\u200f\u202a\u2060\u2028\u2029x", "\ue000\uf8ff\u{f0000}\u{10fffd}\u{e0001}", "\ufffe\uffff\u{1ffff}", "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308z", "\u0301abc", " \u0301abc", "\u0327\u0301\u0323x", "\u0315\u0300\u05ae\u0062 \u05b0\u094d\u3099\u0334",
    "zero\u200bwidth join\u200der soft\u00adhyphen nb\u00a0space thin\u2009space ideo\u3000space ogham\u1680space", "\u2018single\u2019 \u201cdouble\u201d \u2013\u2014\u2026 \u00ab\u00bb \u201e\u201a \u2039\u203a \u00bf\u00a1", "+-*/=<>^~|$`\\ \u00b1\u00d7\u00f7\u2260\u2264\u221e \u20bf\u20b9 \u00a9\u00ae \u00a7\u00b6 \u2192\u21d2 \u2603",
    "[CLS] [SEP] [MASK] [PAD] [UNK] <s> </s> <pad> <unk> <mask>", "a<mask>b  <mask>  c", "a [MASK] b[MASK]c  [MASK]", "  <mask>", "<mask><mask> <mask>", "[mask] [Mask] <MASK>", "new word newword NEWWORD newwords anewword new-word", "<0x0A> <0x41> \u2581 \u2581\u2581x \u2581a b", "##ing ing ##", "\u0120 \u010a \u00c3\u00a9",
    "\r\n\r\n  \n\n x\n \ny  \n", "a  b   c    d     e", "a \u3000 b\u00a0\u00a0c", "123abc456 a1b2c3 \u0661abc\u00bd \u2167 \u4e94 \u2460\u2461", "\u0938\u094d\u0924\u094d\u0930\u0940 \u0ca8\u0cae \u1798\u17d2", "\u{1d400}\u{1d7d8} \u{1f170} \u{1f200} \u24d0\u24b6 \u3200 \u337f \u32ff", "\u{11935}\u{11930} \u{11938} \u{1e030} \ua7f2 \u{10781} \u{1fbf0}", "\u0897\u0898\u08ca x\u1abf\u0301 e\u1dfa\u0301 \u{1e4ec}\u0301 e\u{1e4ec}\u0323",
    "\u1c89 \ua7cb \ua7dc \u{10d50} \u{16ea0} \u{1e5d0} \u{105c0} \u{11380}", "\u166d\u061d\u09fd\u2e43\u2e5d\u{10ead}\u{111c9}\u1b7f \u{16fe2}",
    "It was a bright cold day in April, and the clocks were striking thirteen. ".repeat(6).trim(),
];

// A small generator (mulberry32): the texts must not depend on anything.
function random(seed) {
    return () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

// Ranges of characters, the everyday ones several times.
const RANGES = [
    [0x20, 0x7e], [0x61, 0x7a], [0x61, 0x7a], [0x41, 0x5a], [0x30, 0x39], [0x20, 0x2f], [0x00, 0x1f], [0x7f, 0xa0], [0xa0, 0xff], [0xc0, 0x17f], [0x180, 0x24f],
    [0x300, 0x36f], [0x370, 0x3ff], [0x400, 0x4ff], [0x531, 0x587], [0x591, 0x5f4], [0x600, 0x6ff], [0x700, 0x8ff], [0x900, 0x97f], [0x980, 0xdff], [0xe00, 0xfff],
    [0x1000, 0x109f], [0x10a0, 0x13ff], [0x1400, 0x18af], [0x1900, 0x1cff], [0x1d00, 0x1dff], [0x1e00, 0x1fff], [0x2000, 0x206f], [0x2000, 0x206f], [0x2070, 0x2bff], [0x2c00, 0x2fff],
    [0x3000, 0x30ff], [0x3100, 0x33ff], [0x3400, 0x9fff], [0x4e00, 0x5000], [0xa000, 0xabff], [0xac00, 0xd7a3], [0x1100, 0x11ff], [0xe000, 0xf8ff], [0xf900, 0xfdff], [0xfe00, 0xffff],
    [0x10000, 0x107ff], [0x10800, 0x10fff], [0x11000, 0x11fff], [0x12000, 0x16fff], [0x17000, 0x1cfff], [0x1d000, 0x1efff], [0x1f000, 0x1faff], [0x1f600, 0x1f64f], [0x20000, 0x323af], [0xe0000, 0xe01ef], [0x0, 0x10ffff],
];
const BITS = [
    " ", " ", " ", "  ", "\n", "\t", "\r\n", "\u00a0", "\u3000", ", ", ". ", "!", "?", "'s", "'LL", "'re ", "\u2019s", "...", "-", "_", "<mask>", " <mask> ", "[MASK]", "[CLS]", "</s>", "newword", "\u2581", "##", "ing", "the ", "The ",
    "http://a.b/c?d=e", "@user", "#tag", "\ud83d\ude00", "\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67", "\u2764\ufe0f", "\u0301", "\u0323", "\u0308", "\u094d", "\u200d", "\u200b", "\u4e2d", "\u6587\u5b57", "\ufb01", "\u00bd", "123", "4", "\u00b2", "\u0130", "\u1e9e", "\ufdfa", "<0x41>", "\u0e33", "\u0000", "\u0007",
];

function words() {
    const text = ["texts.ndjson", "texts.csv", "texts.tsv"]
        .map((name) => fs.readFileSync(path.join(SAMPLE, name), "utf8")).join(" ");
    return text.split(/[\s"{}]+/).filter((word) => word.length > 0 && word.length < 40);
}

function made(next, vocabulary) {
    const pick = (list) => list[Math.floor(next() * list.length)];
    const character = ([low, high]) => {
        const c = low + Math.floor(next() * (high - low + 1));
        return c >= 0xd800 && c <= 0xdfff ? " " : String.fromCodePoint(c);
    };
    let text = "";
    const style = next(), parts = 1 + Math.floor(next() * (next() < 0.1 ? 60 : 14));
    for (let i = 0; i < parts; i++) {
        const kind = next();
        if (kind < 0.35) {
            text += (next() < 0.8 ? " " : "") + pick(vocabulary);
        } else if (kind < 0.55) {
            text += pick(BITS);
        } else {
            const range = style < 0.5 ? pick(RANGES) : RANGES[Math.floor(style * 1e6) % RANGES.length];
            for (let n = 1 + Math.floor(next() * 6); n > 0; n--) text += character(range);
        }
    }
    return text;
}

// Texts of the sample, for training and for comparing.
function sample() {
    return fs.readFileSync(path.join(SAMPLE, "texts.ndjson"), "utf8").split("\n").flatMap((line) => {
        try {
            const text = JSON.parse(line).text;
            return typeof text === "string" && text.isWellFormed() ? [text] : [];
        } catch {
            return [];
        }
    });
}

// `count` made-up texts after the written ones and every one of the sample.
function texts(seed, count) {
    const next = random(seed), vocabulary = words();
    const all = [...WRITTEN, ...sample()];
    for (let i = 0; i < count; i++) all.push(made(next, vocabulary));
    return all.map((text) => text.toWellFormed());
}

module.exports = { WRITTEN, sample, texts, random };
