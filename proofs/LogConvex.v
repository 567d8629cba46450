(** Directions whose failure is log-convex in their total, as in 5.1 and 5.3: products of factors
    that rise are log-convex, finite mixtures of log-convex sequences are log-convex, and greedy
    over directions is exact for any of these. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange Separable Optimum.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Sequences.
Variable R : realDomainType.
Implicit Types a f : nat -> R.

Definition log_convex a := forall n, a n.+1 ^+ 2 <= a n * a n.+2.

Theorem product_log_convex f : (forall r, 0 <= f r) -> (forall r, f r <= f r.+1) ->
  log_convex (fun n => \prod_(r < n) f r).
Proof.
move=> f_ge0 rises n; rewrite !big_ord_recr /=; set x := \prod_(r < n) f r.
have x_ge0 : 0 <= x by apply: prodr_ge0.
have -> : x * (x * f n * f n.+1) = x ^+ 2 * (f n * f n.+1) by rewrite expr2 !mulrA.
by rewrite exprMn ler_wpmul2l ?sqr_ge0 // expr2 ler_wpmul2l.
Qed.

Lemma twice_mean (x y z : R) : 0 <= x -> 0 <= y -> 0 <= z -> z ^+ 2 <= x * y -> z *+ 2 <= x + y.
Proof.
move=> x0 y0 z0 zxy; rewrite -ler_sqr ?nnegrE ?addr_ge0 ?mulrn_wge0 //.
apply: le_trans (leif_AGM2_scaled x y).
by rewrite -[z *+ 2]mulr_natr exprMn -natrX mulr_natr ler_muln2r zxy orbT.
Qed.

(** Twice the difference is the sum over y and z of mu y mu z (a y n a z (n + 2) + a y (n + 2) a z n
    - 2 a y (n + 1) a z (n + 1)). *)
Theorem mixture_log_convex (Y : finType) (mu : Y -> R) (a : Y -> nat -> R) :
  (forall y, 0 <= mu y) -> (forall y n, 0 <= a y n) -> (forall y, log_convex (a y)) ->
  log_convex (fun n => \sum_y mu y * a y n).
Proof.
move=> mu0 a0 convex n; set M := fun n => \sum_y mu y * a y n.
have product b c : M b * M c = \sum_y \sum_z mu y * mu z * (a y b * a z c).
  rewrite /M mulr_suml; apply: eq_bigr => y _; rewrite mulr_sumr.
  by apply: eq_bigr => z _; rewrite mulrACA.
have two : M n.+1 ^+ 2 *+ 2 <= M n * M n.+2 *+ 2.
  rewrite [X in _ <= X]mulr2n {2}[M n * _]mulrC expr2 !product -sumrMnl -big_split /=.
  apply: ler_sum => y _; rewrite -sumrMnl -big_split /=; apply: ler_sum => z _.
  rewrite -mulrnAr -mulrDr ler_wpmul2l ?mulr_ge0 //.
  apply: twice_mean; rewrite ?mulr_ge0 // exprMn [X in _ <= X]mulrACA [a z n.+2 * _]mulrC.
  by apply: ler_pmul; rewrite ?sqr_ge0 //; apply: convex.
by move: two; rewrite ler_muln2r.
Qed.
End Sequences.

(** Directions j with positive log-convex failures F j n. *)
Section Directions.
Variables (J : finType) (R : realFieldType) (F : J -> nat -> R).
Hypotheses (F_gt0 : forall j n, 0 < F j n) (F_convex : forall j, log_convex (F j)).
Implicit Types B : alloc J.

Definition joint B : R := \prod_j F j (B j).
(** The share of failure that a further rollout removes. *)
Definition drop j n : R := 1 - F j n.+1 / F j n.

Lemma drop_falls j n : drop j n.+1 <= drop j n.
Proof.
rewrite /drop ler_add2l ler_opp2 ler_pdivr_mulr // mulrAC ler_pdivl_mulr //.
by rewrite -expr2 [F j n.+2 * _]mulrC; apply: F_convex.
Qed.

Lemma joint_give j B : joint (give j B) = joint B * (F j (B j).+1 / F j (B j)).
Proof.
rewrite /joint (bigD1 j) //= [in RHS](bigD1 j) //= ffunE eqxx addn1.
rewrite [RHS]mulrAC mulrCA mulfV ?gt_eqF // mulr1; congr (_ * _).
by apply: eq_bigr => k kj; rewrite ffunE (negPf kj) addn0.
Qed.

Lemma joint_gt0 B : 0 < joint B.
Proof. by apply: prodr_gt0. Qed.

Theorem directions_certificate N B : spent B = N ->
  best joint N B <-> forall i j, (0 < B j)%N -> drop i (B i) <= drop j (B j).-1.
Proof.
move=> sB; have fB : feasible nothing unbounded N B by rewrite feasible_free sB.
have F0 C : 0 <= joint C by apply/ltW/joint_gt0.
have against i r j s : (F i r.+1 / F i r <= F j s.+1 / F j s) = (drop j s <= drop i r).
  by rewrite /drop ler_add2l ler_opp2.
pose f i r := F i r.+1 / F i r.
have decides := product_certificate (f := f) F0 joint_give against drop_falls fB.
apply: iff_trans (best_optimal _ _ _) (iff_trans decides _).
split=> [[/passesP pB i j Bj|/eqP]|pB].
- by apply: pB => //; rewrite ffunE.
- by rewrite gt_eqF ?joint_gt0.
by left; apply/passesP=> i j _; rewrite ffunE; apply: pB.
Qed.

(** Taking rollouts one by one by the largest drop of log failure, ties in any way. *)
Theorem directions_greedy B : greedy nothing unbounded (@le_R R) drop B -> best joint (spent B) B.
Proof.
move=> gB; apply/directions_certificate => // i j Bj.
have /passesP := greedy_passes (@le_R_refl R) (@le_R_trans R) drop_falls gB.
by move/(_ i j isT); rewrite ffunE; apply.
Qed.
End Directions.

(** 5.3: each direction has a finite prior [mu] over its own κ, and quality Q < 1. *)
Section Mixture.
Variables (J Y : finType) (R : realFieldType) (Q : J -> R) (kappa mu : J -> Y -> R).
Hypotheses (Q01 : forall j, 0 <= Q j < 1) (kappa_gt0 : forall j y, 0 < kappa j y).
Hypotheses (mu_ge0 : forall j y, 0 <= mu j y) (mu_gt0 : forall j, exists y, 0 < mu j y).

Definition known j y n : R :=
  \prod_(r < n) ((kappa j y * (1 - Q j) + r%:R) / (kappa j y + r%:R)).
Definition mixed j n : R := \sum_y mu j y * known j y n.

Let num_gt0 j y (r : nat) : 0 < kappa j y * (1 - Q j) + r%:R.
Proof. by rewrite ltr_paddr ?ler0n // mulr_gt0 // subr_gt0; case/andP: (Q01 j). Qed.

Let den_gt0 j y (r : nat) : 0 < kappa j y + r%:R.
Proof. by rewrite ltr_paddr ?ler0n. Qed.

Lemma known_gt0 j y n : 0 < known j y n.
Proof. by apply: prodr_gt0 => r _; rewrite divr_gt0. Qed.

Lemma one_more (x d : R) : 0 < d -> x <= d -> x / d <= (x + 1) / (d + 1).
Proof.
move=> d0 xd; have d1 : 0 < d + 1 by rewrite addr_gt0 ?ltr01.
rewrite ler_pdivr_mulr // mulrAC ler_pdivl_mulr //.
by rewrite mulrDr mulrDl mulr1 mul1r ler_add2l.
Qed.

Theorem known_log_convex j y : log_convex (known j y).
Proof.
pose f r := (kappa j y * (1 - Q j) + r%:R) / (kappa j y + r%:R).
apply: (product_log_convex (f := f)) => r; first by rewrite /f ltW // divr_gt0.
rewrite /f -[r.+1]addn1 natrD !addrA; apply: one_more => //.
rewrite ler_add2r ler_pimulr ?(ltW (kappa_gt0 j y)) // ler_subl_addr ler_addl.
by case/andP: (Q01 j).
Qed.

Theorem mixed_log_convex j : log_convex (mixed j).
Proof.
apply: mixture_log_convex => // y; last exact: known_log_convex.
by move=> n; apply/ltW/known_gt0.
Qed.

Lemma mixed_gt0 j n : 0 < mixed j n.
Proof.
have [y muy] := mu_gt0 j; rewrite /mixed (bigD1 y) //= ltr_paddr ?mulr_gt0 ?known_gt0 //.
by apply: sumr_ge0 => z _; rewrite mulr_ge0 // ltW // known_gt0.
Qed.

Theorem mixed_greedy B : greedy nothing unbounded (@le_R R) (drop mixed) B ->
  best (joint mixed) (spent B) B.
Proof. by apply: directions_greedy; [apply: mixed_gt0 | apply: mixed_log_convex]. Qed.
End Mixture.
