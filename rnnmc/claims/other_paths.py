"""A11: whether a gradient can explode on another path than the one from c to c."""

from __future__ import annotations

from rnnmc.chain.norms import SPECTRAL
from rnnmc.claims.claim import FACTORS, Claim, Part, Question
from rnnmc.claims.estimate import Gap, Share
from rnnmc.observables.paths import BLOCKS, C_PATH, JOINT

OTHER = Part(
    "other", "the block explodes in more than one network of a hundred", "P(explode at T)", "above", 0.01, "some"
)
MISSED = Part(
    "missed",
    "networks explode of which the article's c-path shows nothing",
    "P(explode at T) of the joint chain less that of the c-path",
    "above",
    0.01,
    "some",
)


class OtherPaths(Claim):
    """Every cell with a memory on which `paths` looked."""

    name = "A11"
    states = "Other paths than the one from c to c can explode."
    source = "a reader of kexue.fm/archives/7888; docs/physics.md section 7"
    parts = (OTHER, MISSED)

    def questions(self, evidence):
        for point in evidence.observed("paths"):
            where = point.where("cell", *FACTORS, horizon=point.last)
            rows = evidence.rows("paths", point, horizon=point.last, measure=SPECTRAL)
            known = {row["path"]: row for row in rows if row["explode_at_count"] is not None}
            shares = {name: Share(row["explode_at_count"], row["replicates"]) for name, row in known.items()}
            places = {name: f"{row['place']}, path={name}, p_explode_at" for name, row in known.items()}
            for block in BLOCKS:
                if block in shares and block != "c_to_c":
                    yield Question(OTHER, where | {"path": block}, shares[block], (places[block],))
            if {JOINT, C_PATH} <= shares.keys():
                gap = Gap(shares[JOINT], shares[C_PATH])
                yield Question(MISSED, where, gap, (places[JOINT], places[C_PATH]))


CLAIM = OtherPaths()
