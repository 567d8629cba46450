(** 7.1: N rollouts to many problems, all fixed in advance. Problem m is worth v_m, and its rollout
    number n (from 0) succeeds with the hazard h_m n, given that those before it failed. Hazards
    fall; then so do marginals v F(n) h(n), and to take the largest marginals is exact, between any
    floors and caps. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange Separable.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Problems.
Variables (I : finType) (R : realDomainType) (v : I -> R) (h : I -> nat -> R).
Hypothesis v_ge0 : forall m, 0 <= v m.
Hypothesis h01 : forall m n, 0 <= h m n <= 1.
Hypothesis hazards_fall : forall m n, h m n.+1 <= h m n.

(** F_m(n), the probability that n rollouts of m all fail. *)
Definition unsolved m n : R := \prod_(r < n) (1 - h m r).
Definition marginal m n : R := v m * unsolved m n * h m n.
Definition value (B : alloc I) : R := \sum_m v m * (1 - unsolved m (B m)).

Let h_ge0 m n : 0 <= h m n. Proof. by case/andP: (h01 m n). Qed.
Let h_le1 m n : 0 <= 1 - h m n. Proof. by rewrite subr_ge0; case/andP: (h01 m n). Qed.

Lemma unsolved_ge0 m n : 0 <= unsolved m n.
Proof. by apply: prodr_ge0 => r _; apply: h_le1. Qed.

Lemma unsolvedS m n : unsolved m n.+1 = unsolved m n * (1 - h m n).
Proof. by rewrite /unsolved big_ord_recr. Qed.

Theorem marginal_falls m n : marginal m n.+1 <= marginal m n.
Proof.
rewrite /marginal unsolvedS -!mulrA ler_wpmul2l // ler_wpmul2l ?unsolved_ge0 //.
apply: le_trans (hazards_fall m n); rewrite ler_pimull //.
by rewrite ler_subl_addr ler_addl.
Qed.

Theorem marginal_falls_strictly m n : 0 < marginal m n -> marginal m n.+1 < marginal m n.
Proof.
rewrite /marginal unsolvedS => pos.
have h_gt0 : 0 < h m n.
  by rewrite lt_def h_ge0 andbT; apply: contraTneq pos => ->; rewrite mulr0 ltxx.
have vF_gt0 : 0 < v m * unsolved m n by rewrite -(pmulr_lgt0 _ h_gt0).
rewrite mulrA -[X in X < _]mulrA ltr_pmul2l //.
apply: le_lt_trans (_ : (1 - h m n) * h m n < _); first by rewrite ler_wpmul2l.
by rewrite gtr_pmull // ltr_subl_addr ltr_addl.
Qed.

Lemma value_give m B : value (give m B) = value B + marginal m (B m).
Proof.
rewrite /value (bigD1 m) //= [in RHS](bigD1 m) //= ffunE eqxx addn1 unsolvedS.
rewrite addrAC; congr (_ + _); last first.
  by apply: eq_bigr => k km; rewrite ffunE (negPf km) addn0.
rewrite /marginal -mulrA -mulrDr; congr (_ * _).
by rewrite mulrBr mulr1 opprB addrA addrAC.
Qed.

Section Bounds.
Variables (lo : alloc I) (cap : I -> option nat) (N : nat).

(** 7.1b: max over n_m < cap of the next marginal <= min over n_m > floor of the last one. *)
Definition committed_certificate (B : alloc I) := forall m l,
  room cap m (B m) -> (lo l < B l)%N -> marginal m (B m) <= marginal l (B l).-1.

Definition committed_optimum (B : alloc I) :=
  feasible lo cap N B /\ forall C, feasible lo cap N C -> value C <= value B.

Theorem committed_certificateP B :
  feasible lo cap N B -> committed_optimum B <-> committed_certificate B.
Proof.
move=> fB.
have falls m n : le_R (marginal m n.+1) (marginal m n) by apply: marginal_falls.
have decides : optimal lo cap (@le_R R) value N B <-> passes lo cap (@le_R R) marginal B.
  by apply: certificateP => //; [apply: sum_moves_lose_nothing | apply: sum_moves_gain];
    apply: value_give.
by split=> [/decides/passesP//|cB]; apply/decides/passesP.
Qed.

(** Whatever greedy does with ties. *)
Theorem committed_greedy_exact B : (forall m, within cap m (lo m)) -> spent B = N ->
  greedy lo cap (@le_R R) marginal B -> committed_optimum B.
Proof.
move=> ok sB gB; have fB := greedy_bounds ok gB; rewrite sB in fB.
apply/committed_certificateP => //; apply/passesP.
by apply: greedy_passes gB => // m n; apply: marginal_falls.
Qed.

Theorem committed_greedy_exists C : feasible lo cap N C ->
  exists2 B, greedy lo cap (@le_R R) marginal B & spent B = N.
Proof. exact: greedy_exists. Qed.
End Bounds.
End Problems.
