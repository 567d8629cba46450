(** 8.1.1: for any finite joint prior of the success chances, success is monotone and has
    diminishing returns (DR-submodular) on the integer lattice.

    And where falling hazards come from: the failures of one success chance under any finite prior
    are log-convex in the number of rollouts, so its hazards fall, as 7.1 and 7.2 assume. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange LogConvex.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Joint.
(** With probability [mu y] the chances are [p y]. *)
Variables (I Y : finType) (R : realDomainType) (mu : Y -> R) (p : Y -> I -> R).
Hypothesis mu_ge0 : forall y, 0 <= mu y.
Hypothesis p01 : forall y i, 0 <= p y i <= 1.
Implicit Types B C : alloc I.

Definition all_fail y B : R := \prod_i (1 - p y i) ^+ B i.
Definition success B : R := \sum_y mu y * (1 - all_fail y B).
Definition gain i B : R := success (give i B) - success B.

Let q_ge0 y i : 0 <= 1 - p y i.
Proof. by rewrite subr_ge0; case/andP: (p01 y i). Qed.

Let q_le1 y i : 1 - p y i <= 1.
Proof. by rewrite ler_subl_addr ler_addl; case/andP: (p01 y i). Qed.

Lemma all_fail_le y B C : (forall i, (B i <= C i)%N) -> all_fail y C <= all_fail y B.
Proof.
move=> BC; apply: ler_prod => i _.
by rewrite exprn_ge0 //= ler_wiexpn2l.
Qed.

Lemma all_fail_give y i B : all_fail y (give i B) = all_fail y B * (1 - p y i).
Proof.
rewrite /all_fail (bigD1 i) //= [in RHS](bigD1 i) //= ffunE eqxx addn1 exprSr.
rewrite -!mulrA; congr (_ * _); rewrite mulrC; congr (_ * _).
by apply: eq_bigr => k ki; rewrite ffunE (negPf ki) addn0.
Qed.

Lemma gainE i B : gain i B = \sum_y mu y * (all_fail y B * p y i).
Proof.
rewrite /gain /success -sumrB; apply: eq_bigr => y _; rewrite -mulrBr all_fail_give.
by congr (_ * _); rewrite mulrBr mulr1 !opprB !addrA subrK addrC addKr.
Qed.

Theorem success_monotone B C : (forall i, (B i <= C i)%N) -> success B <= success C.
Proof.
move=> BC; apply: ler_sum => y _; apply: ler_wpmul2l => //.
by rewrite ler_add2l ler_opp2 all_fail_le.
Qed.

Theorem success_submodular i B C : (forall k, (B k <= C k)%N) -> gain i C <= gain i B.
Proof.
move=> BC; rewrite !gainE; apply: ler_sum => y _; apply: ler_wpmul2l => //.
by apply: ler_wpmul2r; [case/andP: (p01 y i) | apply: all_fail_le].
Qed.
End Joint.

Section One.
Variables (Y : finType) (R : realFieldType) (mu p : Y -> R).
Hypothesis mu_ge0 : forall y, 0 <= mu y.
Hypothesis p01 : forall y, 0 <= p y <= 1.

(** The probability that n rollouts all fail. *)
Definition moment n : R := \sum_y mu y * (1 - p y) ^+ n.
(** The chance that the next succeeds after n failures (0 where n failures are impossible). *)
Definition posterior_mean n : R := (\sum_y mu y * ((1 - p y) ^+ n * p y)) / moment n.

Let q_ge0 y : 0 <= 1 - p y.
Proof. by rewrite subr_ge0; case/andP: (p01 y). Qed.

Lemma moment_ge0 n : 0 <= moment n.
Proof. by apply: sumr_ge0 => y _; rewrite mulr_ge0 ?exprn_ge0. Qed.

Theorem moments_log_convex n : moment n.+1 ^+ 2 <= moment n * moment n.+2.
Proof.
apply: (mixture_log_convex (a := fun y n => (1 - p y) ^+ n)) => // [y k|y k].
  by rewrite exprn_ge0.
by rewrite -exprM -exprD muln2 -addnn addSnnS.
Qed.

(** So hazards fall, where they are defined. *)
Theorem posterior_mean_falls n : 0 < moment n.+1 -> posterior_mean n.+1 <= posterior_mean n.
Proof.
move=> m1_gt0; have m0_gt0 : 0 < moment n.
  rewrite lt_def moment_ge0 andbT; apply: contraTneq m1_gt0 => m0.
  have := moments_log_convex n; rewrite m0 mul0r => le0.
  have: moment n.+1 ^+ 2 == 0 by rewrite eq_le le0 sqr_ge0.
  by rewrite sqrf_eq0 => /eqP->; rewrite ltxx.
have chance k : 0 < moment k -> posterior_mean k = 1 - moment k.+1 / moment k.
  move=> mk; rewrite /posterior_mean -[X in _ = X - _](divff (lt0r_neq0 mk)) -mulrBl; congr (_ / _).
  rewrite /moment -sumrB; apply: eq_bigr => y _.
  rewrite -mulrBr exprSr; congr (_ * _).
  by rewrite mulrBr mulr1 opprB addrCA subrr addr0.
rewrite !chance // ler_add2l ler_opp2 ler_pdivr_mulr // mulrAC ler_pdivl_mulr //.
by rewrite -expr2 mulrC moments_log_convex.
Qed.

Lemma posterior_mean01 n : 0 < moment n -> 0 <= posterior_mean n <= 1.
Proof.
move=> mn; apply/andP; split.
  apply: divr_ge0 => //; last exact: moment_ge0.
  by apply: sumr_ge0 => y _; rewrite !mulr_ge0 ?exprn_ge0 //; case/andP: (p01 y).
rewrite ler_pdivr_mulr // mul1r; apply: ler_sum => y _; apply: ler_wpmul2l => //.
by rewrite ler_pimulr ?exprn_ge0 //; case/andP: (p01 y).
Qed.
End One.
