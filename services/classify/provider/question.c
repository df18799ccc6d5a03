#include "services/classify/provider/question.h"

#include <jansson.h>

char *question_make(const char *model, const char *encoding, size_t dimensions,
                    const struct leat_span *texts, size_t n)
{
    json_t *input = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(input,
                              json_stringn_nocheck((const char *)texts[i].data, texts[i].size));
    json_t *root =
        json_pack("{ss, ss, so}", "model", model, "encoding_format", encoding, "input", input);
    if (dimensions > 0)
        json_object_set_new(root, "dimensions", json_integer((json_int_t)dimensions));
    char *text = root && json_array_size(input) == n ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
