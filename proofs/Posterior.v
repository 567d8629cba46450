(** 7.2 as one meets it: the success chance of each candidate is unknown, drawn once from a finite
    prior of its own, and every rollout of the candidate succeeds with that chance. A policy sees
    outcomes only. Its expected value over the draw is that of [Adaptive] with the posterior means
    as hazards; these fall, so the policy that rolls the largest value times posterior mean is
    optimal among all policies. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Adaptive Priors.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Posterior.
Variables (I K Y : finType) (R : realFieldType) (v : I -> R) (owner : K -> I) (mu p : K -> Y -> R).
Hypothesis v_gt0 : forall m, 0 < v m.
Hypothesis mu_ge0 : forall c t, 0 <= mu c t.
Hypothesis p01 : forall c t, 0 <= p c t <= 1.
Implicit Types (y : {ffun K -> Y}) (past : history K) (c k : K).

Definition fresh : state I K := ([ffun _ => 0%N], [ffun _ => false]).
Definition prior y : R := \prod_c mu c (y c).

(** The expected value over the draw of all chances, p c (y c) being that of c. *)
Definition value (pi : history K -> K -> R) (n : nat) : R :=
  \sum_y prior y * expected v owner (fun c _ => p c (y c)) fresh pi n [::].

(** Posterior means, 0 after what cannot happen. *)
Definition mean m n : R := posterior_mean (mu m) (p m) n.

Lemma moment0_mean m n : moment (mu m) (p m) n = 0 -> mean m n = 0.
Proof. by rewrite /mean /posterior_mean => ->; rewrite invr0 mulr0. Qed.

Lemma mean01 m n : 0 <= mean m n <= 1.
Proof.
have := moment_ge0 (mu_ge0 m) (p01 m) n; rewrite le_eqVlt => /predU1P[/esym/moment0_mean->|mn].
  by rewrite lexx ler01.
exact: posterior_mean01.
Qed.

Lemma mean_falls m n : mean m n.+1 <= mean m n.
Proof.
have := moment_ge0 (mu_ge0 m) (p01 m) n.+1.
rewrite le_eqVlt => /predU1P[/esym/moment0_mean->|mn]; first by case/andP: (mean01 m n).
exact: posterior_mean_falls.
Qed.

(** What has been seen of c is as probable as this, if its chance is p c t. *)
Definition opened past c := open owner (after owner fresh past) c.
Definition failures past c := (after owner fresh past).1 c.
Fixpoint likelihood c (t : Y) past : R :=
  if past is e :: past' then
    likelihood c t past' *
      (if e is Some (k, solved) then
         if (k == c) && opened past' c then if solved then p c t else 1 - p c t else 1
       else 1)
  else 1.
Definition weight y past : R := \prod_c (mu c (y c) * likelihood c (y c) past).
Definition evidence past : R := \sum_y weight y past.

Lemma likelihood_open c t past : opened past c ->
  likelihood c t past = (1 - p c t) ^+ failures past c.
Proof.
rewrite /opened /failures; elim: past => [|[[k solved]|] past IH] /=; first by rewrite ffunE expr0.
  case: (eqVneq k c) => [->|kc].
    rewrite /opened /=; case: solved; rewrite /open /= !ffunE ?eqxx // => un.
    by rewrite /open un addn1 exprSr IH.
  rewrite mulr1; case: solved; rewrite /open /= !ffunE.
    by rewrite negb_or => /andP[ck un]; rewrite (negPf ck) IH.
  by rewrite eq_sym (negPf kc) addn0; apply: IH.
by rewrite mulr1; apply: IH.
Qed.

Lemma weight_none y past : weight y (None :: past) = weight y past.
Proof. by apply: eq_bigr => c _ /=; rewrite mulr1. Qed.

Lemma weight_some y past c solved : opened past c ->
  weight y (Some (c, solved) :: past)
    = weight y past * (if solved then p c (y c) else 1 - p c (y c)).
Proof.
move=> un; rewrite /weight (bigD1 c) //= [in RHS](bigD1 c) //= eqxx un /=.
rewrite !mulrA [RHS]mulrAC; congr (_ * _); apply: eq_bigr => k kc.
by rewrite eq_sym (negPf kc) /= mulr1.
Qed.

Lemma weight_solved y past c : ~~ opened past c ->
  weight y (Some (c, false) :: past) = weight y past.
Proof.
move=> /negPf un; apply: eq_bigr => k _ /=; case: eqVneq => [<-|_]; last by rewrite mulr1.
by rewrite un mulr1.
Qed.

Lemma weighted_mean m n : \sum_t mu m t * (1 - p m t) ^+ n * p m t
  = mean m n * \sum_t mu m t * (1 - p m t) ^+ n.
Proof.
have E : \sum_t mu m t * (1 - p m t) ^+ n * p m t = \sum_t mu m t * ((1 - p m t) ^+ n * p m t).
  by apply: eq_bigr => t _; rewrite mulrA.
have := moment_ge0 (mu_ge0 m) (p01 m) n; rewrite le_eqVlt => /predU1P[/esym m0|mn].
  rewrite moment0_mean // mul0r big1 // => t _.
  move/eqP: m0; rewrite psumr_eq0 => [|s _]; last first.
    by rewrite mulr_ge0 ?exprn_ge0 ?subr_ge0 //; case/andP: (p01 m s).
  by move/allP/(_ t); rewrite mem_index_enum => /(_ isT)/eqP->; rewrite mul0r.
by rewrite E /mean /posterior_mean -mulrA mulVf ?mulr1 // gt_eqF.
Qed.

Lemma evidence_solve past c : opened past c ->
  evidence (Some (c, true) :: past) = evidence past * mean c (failures past c).
Proof.
move=> E; rewrite /evidence.
rewrite (eq_bigr _ (fun y _ => weight_some y true E)) /= /weight.
pose term k t := mu k t * likelihood k t past.
have -> : \sum_(y : {ffun K -> Y}) \prod_k term k (y k) = \prod_k \sum_t term k t.
  by rewrite bigA_distr_bigA.
pose chance k t := if k == c then p k t else 1.
rewrite (eq_bigr (fun y : {ffun K -> Y} => \prod_k (term k (y k) * chance k (y k)))); last first.
  move=> y _; rewrite [RHS]big_split /=; congr (_ * _).
  by rewrite /chance -big_mkcond big_pred1_eq.
rewrite -(bigA_distr_bigA (fun k t => term k t * chance k t)) /= /chance.
rewrite (bigD1 c) //= [in RHS](bigD1 c) //= [RHS]mulrAC; congr (_ * _); last first.
  by apply: eq_bigr => k kc; apply: eq_bigr => t _; rewrite (negPf kc) mulr1.
rewrite mulrC eqxx /term.
rewrite (eq_bigr (fun t => mu c t * (1 - p c t) ^+ failures past c * p c t)) => [|t _].
  rewrite weighted_mean; congr (_ * _).
  by apply: eq_bigr => t _; rewrite (likelihood_open t E).
by rewrite (likelihood_open t E).
Qed.

Lemma evidence_fail past c : opened past c ->
  evidence (Some (c, false) :: past) = evidence past * (1 - mean c (failures past c)).
Proof.
move=> E; rewrite mulrBr mulr1 -(evidence_solve E) /evidence -sumrB.
apply: eq_bigr => y _; rewrite (weight_some y false E) (weight_some y true E).
by rewrite mulrBr mulr1.
Qed.

Lemma expected_posterior pi n past :
  \sum_y weight y past * expected v owner (fun c _ => p c (y c)) fresh pi n past
  = evidence past * expected v owner mean fresh pi n past.
Proof.
elim: n past => [|n IH] past /=; first by rewrite -mulr_suml.
under eq_bigr do rewrite mulrDr mulr_sumr.
rewrite big_split /= exchange_big /= mulrDr mulr_sumr; congr (_ + _).
  apply: eq_bigr => c _; rewrite mulrCA.
  under eq_bigr do rewrite mulrCA.
  rewrite -mulr_sumr; congr (_ * _); rewrite /hazard.
  case: ifP => E; last first.
    rewrite mul0r add0r subr0 mul1r.
    have -> : evidence past = evidence (Some (c, false) :: past).
      by apply: eq_bigr => y _; rewrite weight_solved // /opened E.
    rewrite -IH; apply: eq_bigr => y _.
    by rewrite mul0r add0r mul1r weight_solved // /opened E.
  rewrite mulrDr [_ * (mean c _ * _)]mulrA [_ * ((1 - mean c _) * _)]mulrA.
  rewrite -(evidence_solve E) -(evidence_fail E) -!IH -big_split /=.
  apply: eq_bigr => y _.
  by rewrite mulrDr !mulrA (weight_some y true E) (weight_some y false E).
rewrite mulrCA; under eq_bigr do rewrite mulrCA.
rewrite -mulr_sumr; congr (_ * _).
have -> : evidence past = evidence (None :: past).
  by apply: eq_bigr => y _; rewrite weight_none.
by rewrite -IH; apply: eq_bigr => y _; rewrite weight_none.
Qed.

Theorem value_posterior pi n :
  value pi n = (\sum_y prior y) * expected v owner mean fresh pi n [::].
Proof.
have E y : weight y [::] = prior y by apply: eq_bigr => c _ /=; rewrite mulr1.
rewrite /value -(eq_bigr _ (fun y _ => E y)) -/(evidence [::]) -expected_posterior.
by apply: eq_bigr => y _; rewrite E.
Qed.

(** 7.2, with the index v times posterior mean. *)
Theorem posterior_index_optimal index_pi : index_policy v owner mean fresh index_pi ->
  forall pi N, policy pi -> value pi N <= value index_pi N.
Proof.
move=> indexP pi N piP; rewrite !value_posterior ler_wpmul2l //.
  by apply: sumr_ge0 => y _; apply: prodr_ge0.
exact: (index_policy_optimal v_gt0 mean01 mean_falls indexP).
Qed.
End Posterior.
