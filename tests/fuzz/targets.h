/* The targets, by their folders in tests/fuzz/corpus. */
#ifndef LEAT_TESTS_FUZZ_TARGETS_H
#define LEAT_TESTS_FUZZ_TARGETS_H

#include "tests/fuzz/fuzz.h"

void fuzz_acks(struct leat_span input);
void fuzz_answer(struct leat_span input);
void fuzz_batch(struct leat_span input);
void fuzz_card(struct leat_span input);
void fuzz_config(struct leat_span input);
void fuzz_csv(struct leat_span input);
void fuzz_door(struct leat_span input);
void fuzz_encoder_card(struct leat_span input);
void fuzz_examples(struct leat_span input);
void fuzz_fill(struct leat_span input);
void fuzz_journal(struct leat_span input);
void fuzz_keys(struct leat_span input);
void fuzz_load(struct leat_span input);
void fuzz_message(struct leat_span input);
void fuzz_metrics(struct leat_span input);
void fuzz_model(struct leat_span input);
void fuzz_ndjson(struct leat_span input);
void fuzz_payload(struct leat_span input);
void fuzz_points(struct leat_span input);
void fuzz_result(struct leat_span input);
void fuzz_safetensors(struct leat_span input);
void fuzz_score(struct leat_span input);
void fuzz_series(struct leat_span input);
void fuzz_settings(struct leat_span input);
void fuzz_text_record(struct leat_span input);
void fuzz_time(struct leat_span input);
void fuzz_tokenizer(struct leat_span input);
void fuzz_topics(struct leat_span input);
void fuzz_tsv(struct leat_span input);
void fuzz_wire(struct leat_span input);

#endif
