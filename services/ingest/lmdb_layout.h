/* How LMDB's data format 1 (all of LMDB 0.9) lies in the file, on a 64-bit little-endian machine.
 *
 * A file is pages. Pages 0 and 1 are meta pages, transaction n writes number n % 2. Each meta page
 * has the roots of two trees: `free` (pages that are free, by the transaction that freed them) and
 * `main` (the named databases, each a tree of its own). */
#ifndef LEAT_INGEST_LMDB_LAYOUT_H
#define LEAT_INGEST_LMDB_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the layout of LMDB's nodes is written down for little-endian machines only"
#endif

enum {
    LMDB_BRANCH = 0x01, /* flags of a page */
    LMDB_LEAF = 0x02,
    LMDB_OVERFLOW = 0x04,
    LMDB_META = 0x08,

    LMDB_NODE_BIG = 0x01,  /* flags of a leaf's node: its data is the number of an overflow page */
    LMDB_NODE_TREE = 0x02, /* its data is a struct lmdb_tree */

    LMDB_TREE_INTEGER = 0x08, /* flags of a tree: keys are 64-bit integers */

    LMDB_DEPTH_MAX = 32, /* LMDB's cursors have no more levels */
    LMDB_KEY_MAX = 511,
};

static const uint32_t LMDB_MAGIC = 0xBEEFC0DE;
static const uint64_t LMDB_NO_PAGE = UINT64_MAX;

struct lmdb_page {
    uint64_t number;
    uint16_t pad, flags;
    union {
        struct {
            uint16_t lower, upper; /* offsets of the free space between node offsets and nodes */
        };
        uint32_t pages; /* of an overflow: how many, this one included */
    };
};

struct lmdb_node {
    uint16_t low,
        high; /* leaf: bytes of data. Branch, with flags above them: number of the child */
    uint16_t flags;
    uint16_t key_size; /* the key follows, then the data */
};

struct lmdb_tree {
    uint32_t pad; /* in the free tree of a meta page: bytes of a page */
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};

struct lmdb_meta {
    struct lmdb_page head;
    uint32_t magic, version;
    uint64_t address, mapsize;
    struct lmdb_tree free, main;
    uint64_t last_page, txnid;
};

_Static_assert(sizeof(struct lmdb_page) == 16, "LMDB's");
_Static_assert(sizeof(struct lmdb_node) == 8, "LMDB's");
_Static_assert(sizeof(struct lmdb_tree) == 48, "LMDB's");
_Static_assert(sizeof(struct lmdb_meta) == 152 && sizeof(size_t) == 8, "LMDB's, 64 bit");

#endif
