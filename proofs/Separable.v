(** The theorems of [Exchange] for sums of increments that fall, and for products of factors that
    rise. The numbers are any ordered ring of mathcomp, as the rationals or the real algebraic
    numbers. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Orders.
Variable R : realDomainType.
Definition le_R : rel R := fun x y => x <= y.
Lemma le_R_refl : reflexive le_R. Proof. exact: lexx. Qed.
Lemma le_R_trans : transitive le_R. Proof. exact: le_trans. Qed.
Lemma le_R_total : total le_R. Proof. exact: le_total. Qed.
End Orders.
#[export] Hint Resolve le_R_refl le_R_trans le_R_total : core.

(** An objective that a rollout of i after B i of them raises by d i (B i). *)
Section Sums.
Variables (I : finType) (R : realDomainType) (d : I -> nat -> R) (V : alloc I -> R).
Hypothesis gains : forall i B, V (give i B) = V B + d i (B i).

Lemma sum_moves_lose_nothing : moves_lose_nothing (@le_R R) d (@le_R R) V.
Proof.
move=> C i j ij Cj; rewrite /le_R => le_d.
by rewrite move_take // -{1}(give_take Cj) !gains take_same take_else // ler_add2l.
Qed.

Lemma sum_moves_gain B : moves_gain (@le_R R) d (@le_R R) V B.
Proof.
move=> i j ij Bj; rewrite /le_R -!ltNge => lt_d.
by rewrite move_take // -{1}(give_take Bj) !gains take_same take_else // ltr_add2l.
Qed.
End Sums.

(** A failure F >= 0 that a rollout of i after B i of them multiplies by f i (B i) >= 0. The
    priority p orders rollouts against their factors: a smaller factor is a larger priority. *)
Section Products.
Variables (I : finType) (R : realDomainType) (f p : I -> nat -> R) (F : alloc I -> R).
Hypothesis F_ge0 : forall B, 0 <= F B.
Hypothesis multiplies : forall i B, F (give i B) = F B * f i (B i).
Hypothesis against : forall i r j s, (f i r <= f j s) = (p j s <= p i r).

Definition ge_R : rel R := fun x y => y <= x.
Lemma ge_R_refl : reflexive ge_R. Proof. by move=> x; apply: lexx. Qed.
Lemma ge_R_trans : transitive ge_R. Proof. by move=> y x z xy yz; apply: le_trans yz xy. Qed.

(** Failure is to be small: the order of objectives is [ge_R]. *)
Lemma product_moves_lose_nothing : moves_lose_nothing (@le_R R) p ge_R F.
Proof.
move=> C i j ij Cj; rewrite /le_R /ge_R -against => le_f.
by rewrite move_take // -{2}(give_take Cj) !multiplies take_same take_else // ler_wpmul2l.
Qed.

Lemma product_moves_gain B : 0 < F B -> moves_gain (@le_R R) p ge_R F B.
Proof.
move=> F_gt0 i j ij Bj; rewrite /le_R /ge_R -against -!ltNge => lt_f.
move: F_gt0; rewrite move_take // -{1 3}(give_take Bj) !multiplies take_same take_else //.
set x := F _; have: 0 <= x by apply: F_ge0.
by rewrite le_eqVlt => /predU1P[<-|x_gt0]; rewrite ?mul0r ?ltxx // ltr_pmul2l.
Qed.

Variables (lo : alloc I) (cap : I -> option nat).
Hypothesis falls : forall i r, p i r.+1 <= p i r.

(** What passes is best, and only that, but where failure is impossible: then all is best that
    makes it impossible. *)
Theorem product_certificate N B : feasible lo cap N B ->
  optimal lo cap ge_R F N B <-> passes lo cap (@le_R R) p B \/ F B = 0.
Proof.
move=> fB; split=> [best|[pB|F0]].
- have:= F_ge0 B; rewrite le_eqVlt => /predU1P[->|F_gt0]; [by right | left].
  by apply: optimal_passes best => //; apply: product_moves_gain.
- apply: passes_optimal pB => //; [exact: ge_R_refl | exact: ge_R_trans |].
  exact: product_moves_lose_nothing.
by split=> // C _; rewrite /ge_R F0.
Qed.
End Products.
