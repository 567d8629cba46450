(** 7.2 as one meets it: the success chance of each problem is unknown, drawn once from a finite
    prior of its own, and every rollout of the problem succeeds with that chance. A policy sees
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
Variables (I Y : finType) (R : realFieldType) (v : I -> R) (mu p : I -> Y -> R).
Hypothesis v_ge0 : forall m, 0 <= v m.
Hypothesis mu_ge0 : forall m t, 0 <= mu m t.
Hypothesis p01 : forall m t, 0 <= p m t <= 1.
Implicit Types (y : {ffun I -> Y}) (past : history I) (m : I).

Definition fresh : state I := [ffun _ => Some 0%N].
Definition prior y : R := \prod_m mu m (y m).

(** The expected value over the draw of all chances, p m (y m) being that of m. *)
Definition value (pi : history I -> I -> R) (n : nat) : R :=
  \sum_y prior y * expected v (fun m _ => p m (y m)) fresh pi n [::].

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

(** How probable the outcomes of m are, if its chance is p m t. *)
Fixpoint likelihood m (t : Y) past : R :=
  if past is e :: past' then
    likelihood m t past' *
      (if e is Some (k, solved) then
         if (k == m) && (after fresh past' m != None) then
           if solved then p m t else 1 - p m t
         else 1
       else 1)
  else 1.
Definition weight y past : R := \prod_m (mu m (y m) * likelihood m (y m) past).
Definition evidence past : R := \sum_y weight y past.

Lemma likelihood_unsolved m t past n : after fresh past m = Some n ->
  likelihood m t past = (1 - p m t) ^+ n.
Proof.
elim: past n => [|[[k solved]|] past IH] n /=; first by rewrite ffunE => -[<-].
  case: (eqVneq k m) => [->|km]; last first.
    by case: solved; rewrite ffunE eq_sym (negPf km) mulr1; apply: IH.
  case: solved; first by rewrite ffunE eqxx.
  rewrite ffunE eqxx; case E: (after fresh past m) => [l|//] /= [<-].
  by rewrite (IH l) // exprSr.
by rewrite mulr1; apply: IH.
Qed.

Lemma weight_none y past : weight y (None :: past) = weight y past.
Proof. by apply: eq_bigr => m _ /=; rewrite mulr1. Qed.

Lemma weight_some y past m solved n : after fresh past m = Some n ->
  weight y (Some (m, solved) :: past)
    = weight y past * (if solved then p m (y m) else 1 - p m (y m)).
Proof.
move=> E; rewrite /weight (bigD1 m) //= [in RHS](bigD1 m) //= eqxx E /=.
rewrite !mulrA [RHS]mulrAC; congr (_ * _); apply: eq_bigr => k km.
by rewrite eq_sym (negPf km) /= mulr1.
Qed.

Lemma weight_solved y past m : after fresh past m = None ->
  weight y (Some (m, false) :: past) = weight y past.
Proof.
move=> E; apply: eq_bigr => k _ /=; case: eqVneq => [<-|_]; last by rewrite mulr1.
by rewrite E mulr1.
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

Lemma evidence_solve past m n : after fresh past m = Some n ->
  evidence (Some (m, true) :: past) = evidence past * mean m n.
Proof.
move=> E; rewrite /evidence.
rewrite (eq_bigr _ (fun y _ => weight_some y true E)) /= /weight.
pose c k t := mu k t * likelihood k t past.
have -> : \sum_(y : {ffun I -> Y}) \prod_k c k (y k) = \prod_k \sum_t c k t by rewrite bigA_distr_bigA.
rewrite (eq_bigr (fun y : {ffun I -> Y} => \prod_k (c k (y k) * (if k == m then p k (y k) else 1)))); last first.
  move=> y _; rewrite [RHS]big_split /=; congr (_ * _).
  by rewrite -big_mkcond big_pred1_eq.
rewrite -(bigA_distr_bigA (fun k t => c k t * (if k == m then p k t else 1))) /=.
rewrite (bigD1 m) //= [in RHS](bigD1 m) //= [RHS]mulrAC; congr (_ * _); last first.
  by apply: eq_bigr => k km; apply: eq_bigr => t _; rewrite (negPf km) mulr1.
rewrite mulrC eqxx /c.
rewrite (eq_bigr (fun t => mu m t * (1 - p m t) ^+ n * p m t)) => [|t _].
  rewrite weighted_mean; congr (_ * _).
  by apply: eq_bigr => t _; rewrite (likelihood_unsolved t E).
by rewrite (likelihood_unsolved t E).
Qed.

Lemma evidence_fail past m n : after fresh past m = Some n ->
  evidence (Some (m, false) :: past) = evidence past * (1 - mean m n).
Proof.
move=> E; rewrite mulrBr mulr1 -(evidence_solve E) /evidence -sumrB.
apply: eq_bigr => y _; rewrite (weight_some y false E) (weight_some y true E).
by rewrite mulrBr mulr1.
Qed.

Lemma expected_posterior pi n past :
  \sum_y weight y past * expected v (fun m _ => p m (y m)) fresh pi n past
  = evidence past * expected v mean fresh pi n past.
Proof.
elim: n past => [|n IH] past /=; first by rewrite -mulr_suml.
under eq_bigr do rewrite mulrDr mulr_sumr.
rewrite big_split /= exchange_big /= mulrDr mulr_sumr; congr (_ + _).
  apply: eq_bigr => m _; rewrite mulrCA.
  under eq_bigr do rewrite mulrCA.
  rewrite -mulr_sumr; congr (_ * _); rewrite /hazard.
  case E: (after fresh past m) => [l|]; last first.
    rewrite mul0r add0r subr0 mul1r.
    have -> : evidence past = evidence (Some (m, false) :: past).
      by apply: eq_bigr => y _; rewrite weight_solved.
    rewrite -IH; apply: eq_bigr => y _.
    by rewrite mul0r add0r mul1r weight_solved.
  rewrite mulrDr [_ * (mean m l * _)]mulrA [_ * ((1 - mean m l) * _)]mulrA.
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
  value pi n = (\sum_y prior y) * expected v mean fresh pi n [::].
Proof.
have E y : weight y [::] = prior y by apply: eq_bigr => m _ /=; rewrite mulr1.
rewrite /value -(eq_bigr _ (fun y _ => E y)) -/(evidence [::]) -expected_posterior.
by apply: eq_bigr => y _; rewrite E.
Qed.

(** 7.2, with the index v times posterior mean. *)
Theorem posterior_index_optimal index_pi : index_policy v mean fresh index_pi ->
  forall pi N, policy pi -> value pi N <= value index_pi N.
Proof.
move=> indexP pi N piP; rewrite !value_posterior ler_wpmul2l //.
  by apply: sumr_ge0 => y _; apply: prodr_ge0.
exact: (index_policy_optimal v_ge0 mean01 mean_falls indexP).
Qed.
End Posterior.
