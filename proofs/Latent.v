(** 8.1.7 and 8.1.8: the success chances are independent given a latent y, which is as general as
    can be. m y i b is the probability that b rollouts of candidate i all fail, given y. From any
    allocation B, with the law of y tilted by its failure, log F(B') >= log F(B) - G(B) for every B'
    of the same budget; the maximum in G is that of a sum of increments that fall, so greedy finds
    it; and if B passes the certificate of these increments, B is optimal.

    Logarithms need the reals of Coq's standard library, and so their axioms. *)
From Coq Require Import Reals Lra.
From mathcomp Require Import all_ssreflect.
From Dora Require Import Exchange.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Local Open Scope R_scope.

(** *** Sums and products of reals *)
Section Laws.
Let addA : associative Rplus. Proof. by move=> *; ring. Qed.
Let addC : commutative Rplus. Proof. by move=> *; ring. Qed.
Let add0 : left_id R0 Rplus. Proof. by move=> *; ring. Qed.
Let add0r : right_id R0 Rplus. Proof. by move=> *; ring. Qed.
Let mulA : associative Rmult. Proof. by move=> *; ring. Qed.
Let mulC : commutative Rmult. Proof. by move=> *; ring. Qed.
Let mul1 : left_id R1 Rmult. Proof. by move=> *; ring. Qed.
Let mul1r : right_id R1 Rmult. Proof. by move=> *; ring. Qed.
Let mul0 : left_zero R0 Rmult. Proof. by move=> *; ring. Qed.
Let mul0r : right_zero R0 Rmult. Proof. by move=> *; ring. Qed.
Let mulDl : left_distributive Rmult Rplus. Proof. by move=> *; ring. Qed.
Let mulDr : right_distributive Rmult Rplus. Proof. by move=> *; ring. Qed.
Canonical Rplus_law := Monoid.Law addA add0 add0r.
Canonical Rplus_comlaw := Monoid.ComLaw addC.
Canonical Rmult_law := Monoid.Law mulA mul1 mul1r.
Canonical Rmult_comlaw := Monoid.ComLaw mulC.
Canonical Rmult_mullaw := Monoid.MulLaw mul0 mul0r.
Canonical Rplus_addlaw := Monoid.AddLaw mulDl mulDr.
End Laws.

Lemma ln_le x y : 0 < x -> x <= y -> ln x <= ln y.
Proof.
by move=> x0; case=> [lt|<-]; [apply/Rlt_le/ln_increasing | lra].
Qed.

Notation "'sum_R' i , e" := (\big[Rplus/0]_i e) (at level 45, i name, e at level 45).
Notation "'prod_R' i , e" := (\big[Rmult/1]_i e) (at level 45, i name, e at level 45).

Section Sums.
Variable J : finType.
Implicit Types f g : J -> R.

Lemma sum_le f g : (forall j, f j <= g j) -> (sum_R j, f j) <= (sum_R j, g j).
Proof. by move=> fg; elim/big_ind2: _ => [|a b c d ab cd|j _]; [lra | lra | apply: fg]. Qed.

Lemma sum_ge0 f : (forall j, 0 <= f j) -> 0 <= sum_R j, f j.
Proof. by move=> f0; elim/big_ind: _ => [|a b a0 b0|j _]; [lra | lra | apply: f0]. Qed.

Lemma sum_mul c f : c * (sum_R j, f j) = sum_R j, c * f j.
Proof. exact: big_distrr. Qed.

Lemma sum_add f g : (sum_R j, (f j + g j)) = (sum_R j, f j) + (sum_R j, g j).
Proof. exact: big_split. Qed.

Lemma sum_sub f g : (sum_R j, (f j - g j)) = (sum_R j, f j) - (sum_R j, g j).
Proof.
rewrite (eq_bigr (fun j => f j + - 1 * g j)) => [|j _]; last by ring.
by rewrite sum_add -sum_mul; ring.
Qed.

Lemma prod_gt0 f : (forall j, 0 < f j) -> 0 < prod_R j, f j.
Proof.
move=> f0; elim/big_ind: _ => [|a b a0 b0|j _]; [lra | by apply: Rmult_lt_0_compat | exact: f0].
Qed.

(** Where weights are not all 0, a sum of positive terms with these weights is positive. *)
Lemma weighted_gt0 f g : (forall j, 0 <= f j) -> (forall j, 0 < g j) ->
  0 < (sum_R j, f j) -> 0 < sum_R j, f j * g j.
Proof.
move=> f0 g0.
suff [_] : 0 <= (sum_R j, f j * g j) /\ (0 < (sum_R j, f j) -> 0 < sum_R j, f j * g j) by [].
elim/big_ind2: _ => [|a b c d [? H1] [? H2]|j _]; first by split; lra.
- split; first lra; move=> bd.
  case: (Rlt_dec 0 a) => [a0|a0]; first by have := H1 a0; lra.
  by have c0 : 0 < c; [lra | have := H2 c0; lra].
- have fj := f0 j; have gj := g0 j.
  by split=> [|fj0]; [apply: Rmult_le_pos; lra | apply: Rmult_lt_0_compat].
Qed.

Lemma ln_prod f : (forall j, 0 < f j) -> ln (prod_R j, f j) = sum_R j, ln (f j).
Proof.
move=> f0.
suff [_ ->] : 0 < (prod_R j, f j) /\ ln (prod_R j, f j) = sum_R j, ln (f j) by [].
elim/big_ind2: _ => [|a b c d [a0 <-] [c0 <-]|j _]; [by rewrite ln_1; split; lra | |by split].
by split; [apply: Rmult_lt_0_compat | rewrite ln_mult].
Qed.
End Sums.

(** *** Moments of a finite prior: the failures of b rollouts, log-convex in b *)
Section Moments.
Variables (Z : finType) (nu q : Z -> R).
Hypotheses (nu_ge0 : forall z, 0 <= nu z) (q_gt0 : forall z, 0 < q z).
Hypothesis nu_sum : 0 < sum_R z, nu z.

Definition finite_moment (b : nat) : R := sum_R z, nu z * q z ^ b.

Lemma finite_moment_gt0 b : 0 < finite_moment b.
Proof. by apply: weighted_gt0 => // z; apply: pow_lt. Qed.

(** 0 <= the sum of nu q^b (q - t)^2, at t = moment (b + 1) / moment b. *)
Lemma finite_moment_log_convex b :
  finite_moment b.+1 * finite_moment b.+1 <= finite_moment b * finite_moment b.+2.
Proof.
have m0 := finite_moment_gt0 b.
set t := finite_moment b.+1 / finite_moment b.
have sq : 0 <= sum_R z, nu z * q z ^ b * ((q z - t) * (q z - t)).
  apply: sum_ge0 => z; apply: Rmult_le_pos; last exact: Rle_0_sqr.
  by apply: Rmult_le_pos => //; apply/Rlt_le/pow_lt.
have E : (sum_R z, nu z * q z ^ b * ((q z - t) * (q z - t)))
    = finite_moment b.+2 + (- 2 * t * finite_moment b.+1 + t * t * finite_moment b).
  rewrite /finite_moment !sum_mul -!sum_add; apply: eq_bigr => z _ /=; ring.
have tm : t * finite_moment b = finite_moment b.+1 by rewrite /t; field; lra.
have {sq E} : 0 <= finite_moment b.+2 - t * finite_moment b.+1 by rewrite -tm in E *; nra.
by rewrite -{1}tm; nra.
Qed.
End Moments.

(** *** The certificate *)
Section Latent.
Variables (I Y : finType) (mu : Y -> R) (m : Y -> I -> nat -> R).
Hypotheses (mu_ge0 : forall y, 0 <= mu y) (mu_sum : 0 < sum_R y, mu y).
Hypothesis m_gt0 : forall y i b, 0 < m y i b.
Hypothesis m_log_convex : forall y i b, m y i b.+1 * m y i b.+1 <= m y i b * m y i b.+2.
Implicit Types B C : alloc I.

Definition fails y B : R := prod_R i, m y i (B i).
Definition failure B : R := sum_R y, mu y * fails y B.

Lemma fails_gt0 y B : 0 < fails y B. Proof. exact: prod_gt0. Qed.
Lemma failure_gt0 B : 0 < failure B.
Proof. by apply: weighted_gt0 => // y; apply: fails_gt0. Qed.

Section Base.
Variable B : alloc I.

Definition tilted y : R := mu y * fails y B / failure B.
Definition mean_log i b : R := sum_R y, tilted y * ln (m y i b).
(** tau+ of i is [fall i (B i)], tau- is [fall i (B i).-1]. *)
Definition fall i b : R := mean_log i b - mean_log i b.+1.
Definition gap C : R := sum_R i, (mean_log i (B i) - mean_log i (C i)).

Lemma tilted_ge0 y : 0 <= tilted y.
Proof.
apply: Rmult_le_pos; last by apply/Rlt_le/Rinv_0_lt_compat/failure_gt0.
by apply: Rmult_le_pos => //; apply/Rlt_le/fails_gt0.
Qed.

Lemma tilted_sum : (sum_R y, tilted y) = 1.
Proof.
have F0 := failure_gt0 B.
rewrite (eq_bigr (fun y => / failure B * (mu y * fails y B))) => [|y _].
  by rewrite -sum_mul -/(failure B) Rinv_l //; lra.
by rewrite /tilted /Rdiv Rmult_comm.
Qed.

(** Jensen: the mean of exponentials is at least the exponential of the mean. *)
Lemma jensen (x : Y -> R) :
  exp (sum_R y, tilted y * x y) <= sum_R y, tilted y * exp (x y).
Proof.
set c := sum_R y, tilted y * x y.
have le y : tilted y * (exp c * (1 - c)) + exp c * (tilted y * x y) <= tilted y * exp (x y).
  have := tilted_ge0 y; have := exp_ineq1_le (x y - c).
  rewrite /Rminus exp_plus exp_Ropp => tangent q0.
  have e0 := exp_pos c.
  have: exp c * (1 + (x y + - c)) <= exp (x y).
    apply: Rle_trans (Rmult_le_compat_l _ _ _ (Rlt_le _ _ e0) tangent) _.
    by right; field; lra.
  by move/(Rmult_le_compat_l _ _ _ q0); lra.
apply: Rle_trans (sum_le le).
rewrite sum_add -[X in _ + X]sum_mul -/c.
rewrite (eq_bigr (fun y => exp c * (1 - c) * tilted y)) => [|y _]; last by ring.
by rewrite -sum_mul tilted_sum; right; ring.
Qed.

Theorem certificate_ratio C : failure B * exp (- gap C) <= failure C.
Proof.
have F0 := failure_gt0 B.
pose x y := sum_R i, (ln (m y i (C i)) - ln (m y i (B i))).
have ratio y : exp (x y) = fails y C / fails y B.
  rewrite -[RHS]exp_ln; last by apply: Rdiv_lt_0_compat; apply: fails_gt0.
  congr exp; rewrite /Rdiv ln_mult ?ln_Rinv;
    try by [apply: fails_gt0 | apply/Rinv_0_lt_compat/fails_gt0].
  by rewrite /fails !ln_prod // /x sum_sub; ring.
have mean : (sum_R y, tilted y * x y) = - gap C.
  rewrite (eq_bigr (fun y => sum_R i, tilted y * (ln (m y i (C i)) - ln (m y i (B i))))) => [|y _].
    rewrite exchange_big /= /gap sum_sub.
    rewrite (eq_bigr (fun i => mean_log i (C i) - mean_log i (B i))) => [|i _].
      by rewrite sum_sub; ring.
    by rewrite /mean_log -sum_sub; apply: eq_bigr => y _; ring.
  by rewrite sum_mul.
have := jensen x; rewrite mean => bound.
apply: Rle_trans (Rmult_le_compat_l _ _ _ (Rlt_le _ _ F0) bound) _.
right; rewrite sum_mul; apply: eq_bigr => y _.
by rewrite ratio /tilted; field; split; apply: Rgt_not_eq; [apply: fails_gt0 | ].
Qed.
(** 8.1.7, in logarithms. *)
Theorem certificate_bound C : ln (failure B) - gap C <= ln (failure C).
Proof.
have F0 := failure_gt0 B.
rewrite -[gap C]Ropp_involutive -[- gap C]ln_exp /Rminus Ropp_involutive.
rewrite -ln_mult //; last exact: exp_pos.
apply: ln_le; first by apply: Rmult_lt_0_compat => //; apply: exp_pos.
exact: certificate_ratio.
Qed.

(** The increments of mean_log fall, for moments are log-convex. *)
Theorem fall_falls i b : fall i b.+1 <= fall i b.
Proof.
rewrite /fall /mean_log -!sum_sub; apply: sum_le => y; rewrite -!Rmult_minus_distr_l.
apply: Rmult_le_compat_l (tilted_ge0 y) _.
have := m_log_convex y i b; have gt0 c := m_gt0 y i c.
move/(ln_le (Rmult_lt_0_compat _ _ (gt0 b.+1) (gt0 b.+1))).
by rewrite !ln_mult //; lra.
Qed.

(** So the gap is largest, over all allocations of the budget, where this certificate passes. *)
Definition gap_certificate C := forall i j, (0 < C j)%N -> fall i (C i) <= fall j (C j).-1.

Definition le_real : rel R := fun x y => if Rle_dec x y then true else false.
Lemma le_realP x y : reflect (x <= y) (le_real x y).
Proof. by rewrite /le_real; case: (Rle_dec x y) => H; constructor. Qed.

Lemma gap_give i C : gap (give i C) = gap C + fall i (C i).
Proof.
rewrite /gap /fall (bigD1 i) //= [in RHS](bigD1 i) //= ffunE eqxx addn1.
rewrite (eq_bigr (fun k => mean_log k (B k) - mean_log k (C k))) => [|k ki]; first by ring.
by rewrite ffunE (negPf ki) addn0.
Qed.

Lemma le_real_refl : reflexive le_real.
Proof. by move=> x; apply/le_realP; lra. Qed.

Lemma le_real_trans : transitive le_real.
Proof. by move=> y x z /le_realP xy /le_realP yz; apply/le_realP; lra. Qed.

Lemma fall_falls_le i b : le_real (fall i b.+1) (fall i b).
Proof. by apply/le_realP/fall_falls. Qed.

Theorem greedy_certified C :
  greedy [ffun _ => 0%N] (fun _ => None) le_real fall C -> gap_certificate C.
Proof.
move/(greedy_passes le_real_refl le_real_trans fall_falls_le)/passesP=> pC i j Cj.
by apply/le_realP/pC => //; rewrite ffunE.
Qed.

Theorem gap_largest C D : gap_certificate C -> spent D = spent C -> gap D <= gap C.
Proof.
move=> certified sDC.
pose lo : alloc I := [ffun _ => 0%N]; pose cap (_ : I) : option nat := None.
have feasibleE A : spent A = spent C -> feasible lo cap (spent C) A.
  by move=> sA; apply/feasibleP; split=> // i; rewrite ffunE.
have [refl trans] := (le_real_refl, le_real_trans).
have fair : moves_lose_nothing le_real fall le_real gap.
  move=> A i j ij Aj /le_realP le_fall; apply/le_realP.
  rewrite move_take // -{1}(give_take Aj) !gap_give take_same take_else //; lra.
have pC : passes lo cap le_real fall C.
  by apply/passesP=> i j _; rewrite ffunE => Cj; apply/le_realP/certified.
have [_ best] := passes_optimal refl trans fall_falls_le refl trans fair (feasibleE C erefl) pC.
by apply/le_realP/best/feasibleE.
Qed.

(** With the rival C that greedy finds, no allocation of the budget fails less than the bound. *)
Theorem certificate_optimum C D : gap_certificate C -> spent D = spent C ->
  ln (failure B) - gap C <= ln (failure D).
Proof.
move=> certified sDC; have := certificate_bound D.
by have := gap_largest certified sDC; lra.
Qed.

(** 8.1.8: where B itself passes, it is optimal. *)
Theorem latent_optimal D : gap_certificate B -> spent D = spent B -> failure B <= failure D.
Proof.
move=> certified sDB; have := certificate_optimum certified sDB.
have -> : gap B = 0.
  by rewrite /gap sum_sub; ring.
have FB := failure_gt0 B; have FD := failure_gt0 D.
rewrite Rminus_0_r => le_ln; case: (Rle_lt_dec (failure B) (failure D)) => // lt.
by have := ln_increasing _ _ FD lt; lra.
Qed.
End Base.
End Latent.

(** What is assumed of m holds of every finite prior: given y, the failure chance of candidate i is
    q y i z with weight nu y i z. *)
Section Prior.
Variables (I Y Z : finType) (mu : Y -> R) (nu q : Y -> I -> Z -> R).
Hypotheses (mu_ge0 : forall y, 0 <= mu y) (mu_sum : 0 < sum_R y, mu y).
Hypotheses (nu_ge0 : forall y i z, 0 <= nu y i z) (nu_sum : forall y i, 0 < sum_R z, nu y i z).
Hypothesis q_gt0 : forall y i z, 0 < q y i z.
Let m y i := finite_moment (nu y i) (q y i).
Let m_gt0 y i b : 0 < m y i b.
Proof. exact: finite_moment_gt0. Qed.

Theorem prior_certificate (B C D : alloc I) :
  gap_certificate mu m B C -> spent D = spent C ->
  ln (failure mu m B) - gap mu m B C <= ln (failure mu m D).
Proof.
apply: certificate_optimum => // y i b; exact: finite_moment_log_convex.
Qed.

Theorem prior_optimal (B D : alloc I) :
  gap_certificate mu m B B -> spent D = spent B -> failure mu m B <= failure mu m D.
Proof.
apply: latent_optimal => // y i b; exact: finite_moment_log_convex.
Qed.
End Prior.
