/* leat send: texts and time series from files into Leat. */
#include "services/leat/commands.h"
#include "services/leat/options.h"
#include "services/leat/series_words.h"
#include "services/runtime/service.h"

#include <string.h>

static const struct manual_option send_options[] = {
    {"--to", "ENDPOINT[,ENDPOINT]",
     "Where to send: the front door of an ingest, tcp://HOST:PORT. Of several, in an order that "
     "must stay the same, each record goes to the one that its id chooses. "
     "Default: tcp://127.0.0.1:5550."},
    {"--keys", "DIR",
     "Encrypt, and prove who this is, with the keys in DIR: server.pub and client.key, as 'leat "
     "keys' makes them. Default: the environment variable LEAT_SECURITY_KEYS; without it no keys, "
     "which services with keys refuse."},
    {"--kind", "KIND", "text, the default, or series."},
    {"--field", "FIELD=NAME...",
     "Take the record's FIELD from what the input calls NAME: --field text=body --field id=key. In "
     "CSV and TSV, NAME may also be a column's number, from 1. May be repeated."},
    {"--series", "NAME",
     "Series: what to call it. Without it, a file's name without its endings, in capitals: "
     "data/eurusd.csv.gz is EURUSD."},
    {"--time", "COLUMN", "Series: the column of times. Default: ts."},
    {"--value", "COLUMN", "Series: the column of closes. Default: close."},
    {"--domain", "NAME[=COLUMN]...",
     "Series: take the values of domain NAME (idx, bqx, or another of the setting series.columns) "
     "ready-made from COLUMN, instead of deriving idx and bqx from closes. May be repeated."},
    {"--base", "NUMBER",
     "Series: the close that counts as 100 in idx. Without it, the file's first one."},
    {"--reset", "none|month",
     "Series: month keeps windows from crossing a calendar month (UTC). Default: none."},
    {"--after", "TIME",
     "Series: send only rows later than TIME; the rows up to it are looked back on. Without it "
     "every file is a whole series."},
    {"--start", NULL,
     "Series, with --after: the series begins with the file's first row, so fewer rows to look "
     "back on are right."},
    {"--from-postgres", "CONNINFO",
     "Series: read rows from PostgreSQL instead of files: postgresql://USER@HOST/DATABASE, or any "
     "connection text of libpq."},
    {"--query", "SQL",
     "The SELECT that gives series, time and close, in this order (with --domain: one value for "
     "each). They come through COPY, sorted by series and time, and are sent as they come."},
    {"--format", "FORMAT",
     "ndjson, csv or tsv, for all inputs. Without it, from the name's ending (.ndjson .jsonl .json "
     ".csv .tsv .tab, also before .gz), else from the content."},
    {"--columns", "NAME,NAME",
     "CSV and TSV have no header line; these are the names of the columns."},
    {"--no-header", NULL, "CSV and TSV have no header line; columns are known by number."},
    {"--wait", "WHAT",
     "committed: until every record that was accepted is in the store (the default). accepted: "
     "until every record is on ingest's disk; Leat stores it by itself from there."},
    {"--timeout", "SECONDS",
     "Give up when nothing was answered or committed for so long. 0: never. Default: 60."},
    {"--client", "NAME",
     "This client's name, 1 to 128 bytes. A second client of the same name ends the first one's "
     "session, and waits for what that one left open. Default: a random one."},
    {"--rejects", "N", "Print at most N reasons of rejected lines. Default: 20."},
    {"--rejects-file", "FILE",
     "Write every rejected line to FILE, as NDJSON with file, line, code and reason."},
    {"--json", NULL,
     "Print one JSON object as the last line of standard output, and nothing else there."},
    {"--quiet", NULL, "No progress, no summary, no reasons: only errors, and the exit status."},
    {NULL, NULL, NULL},
};

static const struct manual_section send_sections[] = {
    {"Input",
     "NDJSON is one JSON object a line. CSV is as RFC 4180 has it: commas, a header line, values "
     "in double quotes where they hold commas, quotes (doubled) or newlines. TSV has a header line "
     "and tabs between values; nothing is quoted. All of it is UTF-8; a byte order mark, carriage "
     "returns before newlines and a missing last newline are fine. Gzip is unpacked, whatever the "
     "name. A line may be 16 MiB long.\n"
     "\n"
     "The fields of a text are id, text, source_type, platform, verified, reach, published_at, "
     "lang, url, author and version; anything else in the input stays where it is. In NDJSON, "
     "values are sent as they are (null is no value). In CSV and TSV, an empty value is no value; "
     "verified is yes or no (true false on off 1 0), reach is a whole number, published_at is "
     "RFC 3339 or microseconds since 1970.\n"
     "\n"
     "A record without an id gets one from its text: XXH3 of 128 bits in hexadecimal, as "
     "'xxhsum -H2' computes it. So equal texts without ids are one text in the store, and sending "
     "a file twice changes nothing."},
    {"Series",
     "CSV or TSV, one series a file. A time is RFC 3339; a date, or a date and a time, UTC unless "
     "it has an offset (2026-01-31, 2026-01-31 12:00:00); or a number since 1970, which counts "
     "seconds, milliseconds, microseconds or nanoseconds: the size of the file's first one tells "
     "(below 10^11, 10^14, 10^17, or not). A value is a decimal number.\n"
     "\n"
     "Rows are cut into blocks, each with the rows before it that its windows look back on; "
     "however they are cut, the same comes out. A row that cannot be read, is not finite, or is "
     "not later than the one before it is rejected and left out; the series goes on without it. A "
     "file is rejected as a whole, counted as one row, when it is empty, lacks a column, cannot "
     "be read, or brings a series that an earlier file brought; the others go in, and the exit "
     "status is 1. With --after, rows that have too few before them are rejected, so that nothing "
     "good is overwritten."},
    {"What is counted",
     "  sent        records in the input: every line (CSV: row) that is not blank\n"
     "  rejected    those that were not taken: by leat send, because the line is\n"
     "              no record, or by ingest, because it breaks a rule of its kind\n"
     "  accepted    those that are on ingest's disk\n"
     "  committed   of those accepted, in the store\n"
     "  dead        of those accepted, in dead_letters: see 'leat dead'\n"
     "\n"
     "When it ends by itself, sent = accepted + rejected. A rejected line costs nothing but "
     "itself; its reason is printed with file and line.\n"
     "\n"
     "Of series, all of these count rows. Ingest and the store answer for blocks, so while some "
     "of them are open or dead, accepted, committed and dead are the share that the blocks "
     "say."},
    {"JSON",
     "With --json the last line has sent, accepted, rejected, committed, dead, resent, seconds, "
     "rate (records sent a second), error (null, or why it ended early), and rejects: an array of "
     "{file, line, code, reason} (and rows, if it is about several) with the first 1000, or as "
     "many as --rejects says if that is more. Of series also passed (rows that were only looked "
     "back on), and blocks: sent, accepted, rejected, committed and dead in blocks."},
    {"Exit status", "  0    all that was accepted was committed (with --wait accepted: all was\n"
                    "       answered); rejected lines do not change that\n"
                    "  1    not so: no ingest answered, the timeout passed, an accepted record\n"
                    "       became a dead letter, an input could not be read to its end. If one\n"
                    "       of texts cannot be opened or lacks a column, nothing of any input is\n"
                    "       sent\n"
                    "  2    the command line is wrong\n"
                    "  130  interrupted. Ctrl-C ends it after at most two seconds, a second one\n"
                    "       at once"},
    {"Examples", "  leat send posts.ndjson\n"
                 "  leat send --to tcp://hub:5550 --field text=body --field id=nr a.csv.gz\n"
                 "  leat send --columns text,labels,id train.tsv\n"
                 "  tail -F app.log.json | leat send --format ndjson --field text=message -\n"
                 "  leat send --json --quiet posts.ndjson | jq .rate\n"
                 "  leat send --kind series --time Date --value close EURUSD.csv.gz\n"
                 "  leat send --kind series --from-postgres postgresql://me@db/rates \\\n"
                 "      --query 'SELECT pair, ts, close FROM bars'"},
    {NULL, NULL},
};

const struct manual send_manual = {
    .name = "send",
    .summary = "send records from files or standard input",
    .synopsis = "[--to ENDPOINT[,ENDPOINT]...] [--field FIELD=NAME]... [OPTION]... FILE...\n"
                "[OPTION]... -\n"
                "--kind series [--time COLUMN] [--value COLUMN] [OPTION]... FILE...\n"
                "--kind series --from-postgres CONNINFO --query SQL [OPTION]...",
    .description =
        "Reads texts from files (NDJSON, CSV, TSV, each also as gzip) or from standard input (-), "
        "or time series from files or a query, sends them to Leat, and waits until they are in the "
        "store. Nothing is lost and "
        "nothing is taken twice when the connection breaks or ingest starts again meanwhile: what "
        "was not answered is sent once more. On a terminal a progress bar shows the rate and the "
        "time left.",
    .options = send_options,
    .sections = send_sections,
};

/* What the options point into. */
struct words {
    struct fields fields;
    struct series_words series;
};

static bool read_kind(struct sending_options *self, const struct options *o, struct words *words,
                      struct leat_error *err)
{
    const char *word = options_value(o, "--kind");
    self->kind = word ? word : "text";
    self->inputs = o->operands;
    self->n_inputs = (uint32_t)o->n_operands;
    if (strcmp(self->kind, "series") == 0) {
        if (!series_words_read(&words->series, o, err))
            return false;
        self->series = &words->series.options;
        self->reading.fields = &words->series.fields;
        if (words->series.input) {
            self->inputs = &words->series.input;
            self->n_inputs = 1;
        }
        return true;
    }
    if (!fields_find(self->kind))
        return leat_fail(err, "there is no kind '%s'; there are text and series", self->kind);
    fields_init(&words->fields, fields_find(self->kind));
    for (size_t i = 0; (word = options_nth(o, "--field", i)); i++)
        if (!fields_map(&words->fields, word, err))
            return false;
    self->reading.fields = &words->fields;
    return series_words_absent(o, self->kind, err);
}

static bool read_client(struct sending_options *self, const struct options *o,
                        struct leat_error *err)
{
    const char *name = self->how.client = options_value(o, "--client");
    return !name || (*name && strlen(name) <= LEAT_MAX_CLIENT_ID) ||
           leat_fail(err, "--client is '%.140s'; expected a name of 1 to %d bytes", name,
                     LEAT_MAX_CLIENT_ID);
}

static bool read_words(struct sending_options *self, const struct options *o, struct words *words,
                       struct leat_error *err)
{
    const char *word;
    if (!read_kind(self, o, words, err))
        return false;
    self->reading.columns = options_value(o, "--columns");
    self->reading.no_header = options_has(o, "--no-header");
    word = options_value(o, "--format");
    if (word && !reader_format_parse(word, &self->reading.format))
        return leat_fail(err, "there is no format '%s'; there are ndjson, csv and tsv", word);
    if (!sender_to(o, &self->how.to, err))
        return false;
    word = options_value(o, "--wait");
    self->how.until = LEAT_UNTIL_COMMITTED;
    if (word && strcmp(word, "accepted") == 0)
        self->how.until = LEAT_UNTIL_ACCEPTED;
    else if (word && strcmp(word, "committed") != 0)
        return leat_fail(err, "--wait is '%s'; expected accepted or committed", word);
    if (!read_client(self, o, err))
        return false;
    self->how.keys = options_value(o, "--keys");
    self->how.timeout = 60;
    uint64_t shown = 20;
    self->quiet = options_has(o, "--quiet");
    self->json = options_has(o, "--json");
    if (!options_number(o, "--timeout", 0, 1e9, &self->how.timeout, err) ||
        !options_count(o, "--rejects", 0, 10000000, &shown, err))
        return false;
    self->shown = (size_t)shown;
    self->rejects_path = options_value(o, "--rejects-file");
    if (self->n_inputs == 0)
        return leat_fail(err, "nothing to send: name a file, or - for standard input");
    return true;
}

int command_send(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    struct words words;
    struct sending_options sending = {0};
    if (!options_parse(&options, &send_manual, argc, argv, &err)) {
        render_complain("leat send", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    int status = LEAT_EXIT_USAGE;
    if (read_words(&sending, &options, &words, &err))
        status = sending_run(&sending);
    else
        render_complain("leat send", "%s", err.text);
    options_end(&options);
    return status;
}
