"""Every tolerance of the library, one name for one meaning, each with the error it makes bounded.

None of them is a setting. A tolerance that could make an answer wrong is paid for: its error is added to
``upper``. Rounding of floating-point arithmetic is not here but in :mod:`nnequiv.rounding`.
"""

#: Default absolute width of a discrepancy interval that counts as exact.
TOLERANCE = 1e-6

#: An LP's answer in floats is taken if its point attains the proved bound, and satisfies every row, up to this share
#: of their terms. What misses that is solved exactly, if it has few variables. No error: the bound is proved anyway.
LP_GAP_TOL = 1e-12

#: A polytope with too many variables for exact arithmetic is called empty only if its proved margin is below this
#: (see :func:`nnequiv.lp.margin`).
#: Safe side: anything above is kept, which costs time, never truth.
MARGIN_TOL = 1e-9

#: A neuron whose pre-activation leaves zero by no more than this on a piece is not split there: times its largest
#: value on the input set where that is below 1, and never less than twice the error its value already has. The
#: amount by which it does leave zero is an error of the piece and is carried into ``upper``.
STABLE_TOL = 1e-12

#: A piece counts as having interior if a ball of this radius fits in it. Only counts and the tests of
#: counts use it; no verdict does.
INTERIOR_TOL = 1e-7

#: What HiGHS promises for a mixed-integer solution: constraints and integrality are kept to this. The engine
#: ``milp`` adds what such an error can do to its bound.
MILP_TOL = 1e-6

#: How far a witness keeps from the borders of guards and input set, as a share of the largest value of the border's
#: row, tried in this order. The first steps are enough where LPs are finished exactly; the last is above HiGHS's own
#: tolerance. Only ``lower`` can lose by it.
WITNESS_SLACKS = (0.0, 1e-15, 1e-12, 1e-9, 1e-6)

#: A vertex counts as on a plane if the value there is below this share of the terms it is the sum of. The engine
#: ``vertices`` (over floats) does not split at a plane that leaves a piece by less; what it leaves by is proved and
#: joins the piece's error.
PLANE_TOL = 1e-12

#: Singular values of unit normals above this count in the rank of the planes through two vertices. Safe side: a pair
#: taken for an edge by mistake adds a point inside the polytope, never loses one.
RANK_TOL = 1e-13

#: How far a witness moves from the best vertex towards the middle of its region, tried in this order, until rounding
#: leaves it inside the input set and all guards. Only ``lower`` can lose by it.
WITNESS_SHARES = (0.0, 2.0**-48, 2.0**-40, 2.0**-30, 2.0**-20, 2.0**-10, 0.25, 1.0)

#: A claimed counterexample may leave an input set by this share of an input: one rounding to float32, as other tools
#: compute. It counts only if the nearest point of the set satisfies the query exactly.
CLAIMED_INPUT_TOL = 2.0**-23

#: Claimed outputs may differ from the networks' own by this share of ``max(1, |output|)``: what inference in float32
#: can do on deep networks, and the rule of VNN-COMP. The query is judged on the networks' own outputs anyway.
CLAIMED_OUTPUT_TOL = 1e-3
