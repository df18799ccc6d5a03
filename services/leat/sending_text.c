#include "services/leat/sending_private.h"

/* Reads one input to its end. False when nothing more can be sent. */
static bool send_records(struct sending *self, uint32_t file, struct reader *reader)
{
    struct reader_row row;
    struct leat_error err = {""};
    for (;;) {
        switch (reader_next(reader, &row, &err)) {
        case READER_RECORD:
            self->rows++;
            if (!sending_put(self, file, row.line, 1, row.key, row.record, &err))
                return sending_trouble(self, &err);
            break;
        case READER_BAD:
            self->rows++;
            sending_refuse(self, file, row.line, 1, row.why.code, row.why.reason);
            if (self->refused % 256 == 0 && !sender_turn(self->sender, &err))
                return sending_trouble(self, &err);
            break;
        case READER_END:
            return true;
        case READER_FAILED:
            return sending_unreadable(self, &err);
        }
    }
}

bool sending_text(struct sending *self, uint32_t file)
{
    struct leat_error err;
    struct input_idle idle = sending_idle(self);
    struct input *input = input_open(self->options->inputs[file], &idle, &err);
    if (!input) {
        sending_trouble(self, &err);
        return true;
    }
    self->input = input;
    struct reader *reader = reader_open(input, &self->options->reading, &err);
    bool go_on = true;
    if (reader)
        go_on = send_records(self, file, reader);
    else
        go_on = sending_unreadable(self, &err);
    if (reader)
        self->past_bytes += input_taken(input);
    self->input = NULL;
    reader_close(&reader);
    return go_on;
}
