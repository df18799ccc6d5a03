"""The peer: what a straightforward Python job does with the same texts.

scikit-learn with the same n-gram families (words 1-2, word-bounded characters 2-5) and logistic
regression for 28 labels, batches of 1 000, psycopg2 execute_values with pages of 1 000, one process.
It is trained on a slice of random labels: how long prediction takes does not depend on them.
"""

import json
import random

import psycopg2
import psycopg2.extras
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline

LABELS = 28
BATCH = 1000
TRAINING_TEXTS = 3000


class Peer:
    def __init__(self, texts, conninfo):
        self.texts = texts
        self.conninfo = conninfo
        chance = random.Random(7)
        slice_ = texts[:TRAINING_TEXTS]
        self.model = make_pipeline(
            FeatureUnion([
                ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)),
                ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5),
                                               sublinear_tf=True)),
            ]),
            OneVsRestClassifier(LogisticRegression(solver="liblinear", C=2, tol=0.1)),
        )
        self.model.fit(slice_, [chance.randrange(LABELS) for _ in slice_])
        with psycopg2.connect(self.conninfo) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS python_peer"
                           " (id text PRIMARY KEY, text text, label integer, scores jsonb)")

    def run(self):
        """All texts, classified and stored."""
        with psycopg2.connect(self.conninfo) as connection, connection.cursor() as cursor:
            cursor.execute("TRUNCATE python_peer")
            connection.commit()
            for begin in range(0, len(self.texts), BATCH):
                batch = self.texts[begin:begin + BATCH]
                scores = self.model.predict_proba(batch)
                rows = [
                    (f"p-{begin + i}", text, int(row.argmax()),
                     json.dumps([round(float(score), 4) for score in row]))
                    for i, (text, row) in enumerate(zip(batch, scores))
                ]
                psycopg2.extras.execute_values(
                    cursor, "INSERT INTO python_peer (id, text, label, scores) VALUES %s", rows,
                    page_size=BATCH)
                connection.commit()
