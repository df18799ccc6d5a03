#include "services/ingest/lmdb_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- meta pages ------------------------------------------------------------------------------ */

static bool tree_fits(const struct lmdb_tree *tree, uint64_t last_page)
{
    if (tree->root == LMDB_NO_PAGE)
        return tree->depth == 0 && tree->entries == 0;
    return tree->root >= 2 && tree->root <= last_page && tree->depth >= 1 &&
           tree->depth <= LMDB_DEPTH_MAX;
}

/* Transaction n is in meta page n % 2, and n - 1 in the other. */
static bool metas_agree(const struct lmdb_meta metas[2])
{
    if (metas[0].txnid == 0 && metas[1].txnid == 0)
        return true;
    uint64_t newer = metas[0].txnid > metas[1].txnid ? metas[0].txnid : metas[1].txnid;
    return metas[newer % 2].txnid == newer && metas[(newer + 1) % 2].txnid == newer - 1;
}

static bool meta_read(int fd, uint64_t at, struct lmdb_meta *meta)
{
    return pread(fd, meta, sizeof *meta, (off_t)at) == (ssize_t)sizeof *meta;
}

enum lmdb_verdict lmdb_check_meta(int fd, uint64_t size, struct lmdb_meta *meta,
                                  struct leat_error *err)
{
    struct lmdb_meta metas[2];
    if (!meta_read(fd, 0, &metas[0]) || !(metas[0].head.flags & LMDB_META) ||
        metas[0].magic != LMDB_MAGIC) {
        leat_fail(err, "%" PRIu64 " bytes that are not LMDB's", size);
        return LMDB_FOREIGN;
    }
    if (metas[0].version != 1) {
        leat_fail(err, "LMDB's data format %" PRIu32 ", not 1", metas[0].version);
        return LMDB_OTHER;
    }
    const uint64_t page = metas[0].free.pad;
    if (page < 512 || page > 65536 || (page & (page - 1)) != 0 || !meta_read(fd, page, &metas[1]) ||
        !(metas[1].head.flags & LMDB_META) || metas[1].magic != LMDB_MAGIC ||
        metas[1].version != 1 || metas[1].free.pad != page || !metas_agree(metas)) {
        leat_fail(err, "the meta pages do not fit each other");
        return LMDB_DAMAGED;
    }
    *meta = metas[metas[1].txnid > metas[0].txnid];
    if (meta->last_page < 1 || meta->last_page > UINT64_MAX / 2 / 65536 ||
        !tree_fits(&meta->free, meta->last_page) || !tree_fits(&meta->main, meta->last_page)) {
        leat_fail(err, "the meta page of transaction %" PRIu64 " names pages that cannot be",
                  meta->txnid);
        return LMDB_DAMAGED;
    }
    if (size < (meta->last_page + 1) * page) {
        leat_fail(err, "it has %" PRIu64 " bytes, its last transaction needs %" PRIu64, size,
                  (meta->last_page + 1) * page);
        return LMDB_CUT_OFF;
    }
    return LMDB_GOOD;
}

/* --- trees ----------------------------------------------------------------------------------- */

struct check {
    int fd;
    uint64_t page, last_page, txnid;
    uint8_t *seen;  /* a bit a page */
    uint8_t *stack; /* a page a level: of a named tree below those of the main one */
    enum lmdb_verdict verdict;
    struct leat_error *err;
};

/* One tree on the way: which one it is, and the key it has come to. */
struct walk {
    const struct lmdb_tree *tree;
    bool is_free, is_main;
    uint64_t entries;
    uint8_t key[LMDB_KEY_MAX + 1];
    size_t key_size;
    bool started;  /* there is a key */
    bool or_equal; /* the next one may be equal: this one was a branch's */
};

/* A node, unpacked. */
struct node {
    const uint8_t *key;
    size_t key_size;
    const uint8_t *data;
    size_t data_size; /* as the leaf says: what it holds, wherever that is */
    uint64_t child;
    uint16_t flags;
};

static bool bad(struct check *self, uint64_t page, const char *what)
{
    self->verdict = LMDB_DAMAGED;
    return leat_fail(self->err, "page %" PRIu64 ": %s", page, what);
}

static bool mark(struct check *self, uint64_t from, uint64_t first, uint64_t count)
{
    if (first < 2 || first > self->last_page || count == 0 || count > self->last_page - first + 1)
        return bad(self, from, "names a page that cannot be");
    for (uint64_t page = first; page < first + count; page++) {
        const uint8_t bit = (uint8_t)(1u << (page % 8));
        if (self->seen[page / 8] & bit)
            return bad(self, from, "names a page that is used elsewhere");
        self->seen[page / 8] |= bit;
    }
    return true;
}

static bool bytes_read(struct check *self, uint64_t page, void *bytes, size_t size, size_t offset)
{
    ssize_t got;
    do
        got = pread(self->fd, bytes, size, (off_t)(page * self->page + offset));
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)size)
        return true;
    self->verdict = LMDB_UNREAD;
    return leat_fail(self->err, "cannot read page %" PRIu64 ": %s", page,
                     got < 0 ? strerror(errno) : "it ends early");
}

/* Reads a page of a tree and checks its head. */
static bool page_read(struct check *self, uint64_t number, uint16_t flags, uint8_t *bytes)
{
    struct lmdb_page head;
    if (!bytes_read(self, number, bytes, self->page, 0))
        return false;
    memcpy(&head, bytes, sizeof head);
    if (head.number != number || head.flags != flags)
        return bad(self, number, "is not the page that it should be");
    if (head.lower < sizeof head + 2 || head.lower % 2 != 0 || head.lower > head.upper ||
        head.upper > self->page)
        return bad(self, number, "its bounds cannot be");
    return true;
}

static unsigned page_nodes(const uint8_t *bytes)
{
    struct lmdb_page head;
    memcpy(&head, bytes, sizeof head);
    return (unsigned)(head.lower - sizeof head) / 2;
}

/* Unpacks node i; *taken grows by what it takes of the page. */
static bool node_read(struct check *self, const uint8_t *bytes, unsigned i, struct node *node,
                      uint64_t *taken)
{
    struct lmdb_page page;
    struct lmdb_node head;
    uint16_t at;
    memcpy(&page, bytes, sizeof page);
    memcpy(&at, bytes + sizeof page + 2 * i, sizeof at);
    if (at < page.upper || at + sizeof head > self->page)
        return bad(self, page.number, "a node is outside of it");
    memcpy(&head, bytes + at, sizeof head);
    const bool leaf = page.flags & LMDB_LEAF;
    node->key = bytes + at + sizeof head;
    node->key_size = head.key_size;
    node->data = node->key + head.key_size;
    node->data_size = leaf ? head.low | (size_t)head.high << 16 : 0;
    node->child = head.low | (uint64_t)head.high << 16 | (uint64_t)head.flags << 32;
    node->flags = leaf ? head.flags : 0;
    uint64_t inside = leaf && (head.flags & LMDB_NODE_BIG) ? sizeof(uint64_t) : node->data_size;
    uint64_t size = sizeof head + head.key_size + inside;
    if (head.key_size > LMDB_KEY_MAX || at + size > self->page)
        return bad(self, page.number, "a node reaches out of it");
    *taken += (size + 1) & ~UINT64_C(1);
    return true;
}

/* Nodes lie side by side up to the page's end: any wrong size or offset breaks the sum. */
static bool nodes_fill(struct check *self, const uint8_t *bytes, uint64_t taken)
{
    struct lmdb_page head;
    memcpy(&head, bytes, sizeof head);
    return taken == self->page - head.upper || bad(self, head.number, "its nodes overlap");
}

static int key_compare(const struct walk *walk, const struct node *node)
{
    if (walk->tree->flags & LMDB_TREE_INTEGER) {
        uint64_t before, now;
        memcpy(&before, walk->key, sizeof before);
        memcpy(&now, node->key, sizeof now);
        return (before > now) - (before < now);
    }
    size_t least = walk->key_size < node->key_size ? walk->key_size : node->key_size;
    int order = memcmp(walk->key, node->key, least);
    return order != 0 ? order
                      : (walk->key_size > node->key_size) - (walk->key_size < node->key_size);
}

static bool key_advance(struct check *self, struct walk *walk, uint64_t page,
                        const struct node *node, bool branch)
{
    if (node->key_size == 0 ||
        ((walk->tree->flags & LMDB_TREE_INTEGER) && node->key_size != sizeof(uint64_t)))
        return bad(self, page, "a key of a length that cannot be");
    if (walk->started) {
        int order = key_compare(walk, node);
        if (order > 0 || (order == 0 && !walk->or_equal))
            return bad(self, page, "its keys are out of order");
    }
    memcpy(walk->key, node->key, node->key_size);
    walk->key_size = node->key_size;
    walk->started = true;
    walk->or_equal = branch;
    return true;
}

/* A list of free pages: a count, then that many numbers, falling. */
static bool free_list_check(struct check *self, uint64_t page, const struct node *node,
                            uint64_t overflow)
{
    uint64_t txn, count, before = UINT64_MAX;
    memcpy(&txn, node->key, sizeof txn);
    if (txn == 0 || txn > self->txnid || node->data_size < 8 || node->data_size % 8 != 0)
        return bad(self, page, "a list of free pages that cannot be");
    uint64_t *list = malloc(node->data_size);
    if (!list) {
        self->verdict = LMDB_UNREAD;
        return leat_fail(self->err, "no memory for a list of free pages");
    }
    bool good = true;
    if (overflow == 0)
        memcpy(list, node->data, node->data_size);
    else
        good = bytes_read(self, overflow, list, node->data_size, sizeof(struct lmdb_page));
    count = good ? list[0] : 0;
    if (good && count > node->data_size / 8 - 1)
        good = bad(self, page, "a list of free pages that is too long");
    for (uint64_t i = 1; good && i <= count; before = list[i++])
        good = list[i] < before ? mark(self, page, list[i], 1)
                                : bad(self, page, "a list of free pages out of order");
    free(list);
    return good;
}

/* The pages that hold a large value. LMDB may have left it more of them than it needs. */
static bool overflow_check(struct check *self, uint64_t page, const struct node *node,
                           uint64_t *first)
{
    struct lmdb_page head;
    memcpy(first, node->data, sizeof *first);
    const uint64_t needed = (sizeof head - 1 + node->data_size) / self->page + 1;
    if (*first < 2 || *first > self->last_page)
        return bad(self, page, "names a page that cannot be");
    if (!bytes_read(self, *first, &head, sizeof head, 0))
        return false;
    if (head.number != *first || head.flags != LMDB_OVERFLOW || head.pages < needed)
        return bad(self, *first, "is not the value that it should be");
    return mark(self, page, *first, head.pages);
}

static bool tree_check(struct check *self, struct walk *walk, unsigned level);

static bool named_check(struct check *self, uint64_t page, const struct node *node, unsigned level)
{
    struct lmdb_tree tree;
    if (node->data_size != sizeof tree)
        return bad(self, page, "a database that cannot be");
    memcpy(&tree, node->data, sizeof tree);
    if ((tree.flags & ~LMDB_TREE_INTEGER) != 0 || !tree_fits(&tree, self->last_page))
        return bad(self, page, "a database that cannot be");
    struct walk walk = {.tree = &tree};
    return tree_check(self, &walk, level);
}

static bool leaf_check(struct check *self, struct walk *walk, uint64_t number, unsigned level)
{
    uint8_t *bytes = self->stack + level * self->page;
    uint64_t taken = 0;
    struct node node;
    if (!page_read(self, number, LMDB_LEAF, bytes))
        return false;
    const unsigned nodes = page_nodes(bytes);
    for (unsigned i = 0; i < nodes; i++) {
        uint64_t overflow = 0;
        if (!node_read(self, bytes, i, &node, &taken) ||
            !key_advance(self, walk, number, &node, false))
            return false;
        if (node.flags != (walk->is_main ? LMDB_NODE_TREE : node.flags & LMDB_NODE_BIG))
            return bad(self, number, "a node of a sort that cannot be");
        if ((node.flags & LMDB_NODE_BIG) && !overflow_check(self, number, &node, &overflow))
            return false;
        if (walk->is_free && !free_list_check(self, number, &node, overflow))
            return false;
        if (walk->is_main && !named_check(self, number, &node, level + 1))
            return false;
        walk->entries++;
    }
    return nodes_fill(self, bytes, taken);
}

static bool page_check(struct check *self, struct walk *walk, uint64_t number, unsigned depth,
                       unsigned level)
{
    if (depth == 1)
        return leaf_check(self, walk, number, level);
    uint8_t *bytes = self->stack + level * self->page;
    uint64_t taken = 0;
    struct node node;
    if (!page_read(self, number, LMDB_BRANCH, bytes))
        return false;
    const unsigned nodes = page_nodes(bytes);
    for (unsigned i = 0; i < nodes; i++)
        if (!node_read(self, bytes, i, &node, &taken) ||
            (i > 0 && !key_advance(self, walk, number, &node, true)) || /* the first key is void */
            !mark(self, number, node.child, 1) ||
            !page_check(self, walk, node.child, depth - 1, level + 1))
            return false;
    return nodes_fill(self, bytes, taken);
}

static bool tree_check(struct check *self, struct walk *walk, unsigned level)
{
    if (walk->tree->root == LMDB_NO_PAGE)
        return true;
    if (!mark(self, 0, walk->tree->root, 1) ||
        !page_check(self, walk, walk->tree->root, walk->tree->depth, level))
        return false;
    return walk->entries == walk->tree->entries ||
           bad(self, walk->tree->root, "its tree has more or fewer entries than were counted");
}

enum lmdb_verdict lmdb_check_trees(int fd, const struct lmdb_meta *meta, struct leat_error *err)
{
    struct check self = {.fd = fd,
                         .page = meta->free.pad,
                         .last_page = meta->last_page,
                         .txnid = meta->txnid,
                         .seen = calloc(meta->last_page / 8 + 1, 1),
                         .verdict = LMDB_GOOD,
                         .err = err};
    struct walk free_walk = {.tree = &meta->free, .is_free = true};
    struct walk main_walk = {.tree = &meta->main, .is_main = true};
    self.stack = malloc(2 * LMDB_DEPTH_MAX * self.page);
    if (!self.seen || !self.stack) {
        self.verdict = LMDB_UNREAD;
        leat_fail(err, "no memory to check %" PRIu64 " pages", meta->last_page + 1);
    } else if ((meta->free.flags & 0xff) != LMDB_TREE_INTEGER || (meta->main.flags & 0xff) != 0)
        bad(&self, meta->txnid % 2, "its trees are of a sort that cannot be");
    else if (tree_check(&self, &free_walk, 0))
        tree_check(&self, &main_walk, 0);
    free(self.seen);
    free(self.stack);
    return self.verdict;
}
