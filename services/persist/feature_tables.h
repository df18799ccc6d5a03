/* Which of a store's tables are Leat's tables of features, as the end of a SELECT. They follow from
 * settings that may have changed since, so the store is asked. Its owner may have others of such a
 * name: views over them, sums of them, or partitions that were detached and kept. Leat's are
 * partitioned in PostgreSQL, have these columns, and need no quotes around their names. */
#ifndef LEAT_PERSIST_FEATURE_TABLES_H
#define LEAT_PERSIST_FEATURE_TABLES_H

#define FEATURE_COLUMNS "('series', 'ts', 'version', 'origin')"

/* relname is the name. */
#define FEATURE_TABLES_POSTGRESQL                                                                  \
    " FROM pg_class AS c WHERE relkind = 'p' AND NOT relispartition AND pg_table_is_visible(oid)"  \
    " AND relname ~ '^features_[a-z0-9_]+$'"                                                       \
    " AND (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND NOT attisdropped"          \
    " AND attname IN " FEATURE_COLUMNS ") = 4"

/* name is the name. */
#define FEATURE_TABLES_SQLITE                                                                      \
    " FROM sqlite_master AS t WHERE type = 'table'"                                                \
    " AND name GLOB 'features_?*' AND name NOT GLOB '*[^a-z0-9_]*'"                                \
    " AND (SELECT count(*) FROM pragma_table_info(t.name) WHERE name IN " FEATURE_COLUMNS ") = 4"

#endif
