#include "tests/fuzz/targets.h"

const struct fuzz_target fuzz_targets[] = {
    {"acks", fuzz_acks},       {"batch", fuzz_batch},         {"card", fuzz_card},
    {"csv", fuzz_csv},         {"door", fuzz_door},           {"fill", fuzz_fill},
    {"journal", fuzz_journal}, {"load", fuzz_load},           {"message", fuzz_message},
    {"model", fuzz_model},     {"ndjson", fuzz_ndjson},       {"payload", fuzz_payload},
    {"points", fuzz_points},   {"result", fuzz_result},       {"score", fuzz_score},
    {"series", fuzz_series},   {"settings", fuzz_settings},   {"text", fuzz_text_record},
    {"time", fuzz_time},       {"tokenizer", fuzz_tokenizer}, {"topics", fuzz_topics},
    {"tsv", fuzz_tsv},         {"wire", fuzz_wire},           {NULL, NULL},
};
