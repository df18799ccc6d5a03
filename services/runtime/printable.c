#include "services/runtime/printable.h"

#include <utf8proc.h>

bool leat_printable(int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    bool joins = point == 0x200c || point == 0x200d;
    return category != UTF8PROC_CATEGORY_CC && (category != UTF8PROC_CATEGORY_CF || joins);
}
