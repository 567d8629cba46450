(** 2.1 and 2.2: N rollouts to candidates with success chances p_i ~ Beta(κ w_i, κ (1 - w_i)), or
    Beta(a_i, b_i), independently. B_i rollouts of i all fail with probability
    prod_(r < B_i) (κ (1 - w_i) + r) / (κ + r); the joint failure is the product over candidates.

    [certificate] is w_i / (κ + B_i) <= w_j / (κ + B_j - 1) for all i and all j with B_j > 0, which
    is max_i <= min_j. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange Separable.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(** No floor, no cap. *)
Definition nothing (I : finType) : alloc I := [ffun _ => 0%N].
Definition unbounded (I : finType) (_ : I) : option nat := None.
Arguments nothing {I}.
Arguments unbounded {I} _.

Lemma feasible_free (I : finType) N (B : alloc I) : feasible nothing unbounded N B = (spent B == N).
Proof. by rewrite /feasible andb_idr // => _; apply/forallP=> i; rewrite ffunE. Qed.

(** The least failure that N rollouts can have. *)
Definition best (I : finType) (R : realDomainType) (F : alloc I -> R) (N : nat) (B : alloc I) :=
  spent B = N /\ forall C, spent C = N -> F B <= F C.

Lemma best_optimal (I : finType) (R : realDomainType) (F : alloc I -> R) N B :
  best F N B <-> optimal nothing unbounded (@ge_R R) F N B.
Proof.
rewrite /best /optimal feasible_free; split=> -[] => [-> H|/eqP-> H]; split=> // C.
  by rewrite feasible_free => /eqP; apply: H.
by move/eqP=> sC; apply: H; rewrite feasible_free.
Qed.

Lemma product_give (I : finType) (R : comRingType) (f : I -> nat -> R) i (B : alloc I) :
  \prod_k \prod_(r < give i B k) f k r = \prod_k \prod_(r < B k) f k r * f i (B i).
Proof.
rewrite (bigD1 i) //= [in RHS](bigD1 i) //= ffunE eqxx addn1 big_ord_recr /=.
rewrite -!mulrA; congr (_ * _); rewrite mulrC; congr (_ * _).
by apply: eq_bigr => k ki; rewrite ffunE (negPf ki) addn0.
Qed.

Section Beta.
Variables (I : finType) (R : realFieldType) (a b : I -> R).
Hypotheses (a_ge0 : forall i, 0 <= a i) (b_ge0 : forall i, 0 <= b i).
Hypothesis ab_gt0 : forall i, 0 < a i + b i.

Definition beta_failure (B : alloc I) : R :=
  \prod_i \prod_(r < B i) ((b i + r%:R) / (a i + b i + r%:R)).
Definition beta_priority i (r : nat) : R := a i / (a i + b i + r%:R).
Definition beta_certificate (B : alloc I) :=
  forall i j, (0 < B j)%N -> beta_priority i (B i) <= beta_priority j (B j).-1.

Lemma beta_den i (r : nat) : 0 < a i + b i + r%:R.
Proof. by rewrite ltr_paddr ?ler0n. Qed.

Lemma beta_factor i (r : nat) : (b i + r%:R) / (a i + b i + r%:R) = 1 - beta_priority i r.
Proof.
rewrite /beta_priority -[X in X - _](divff (lt0r_neq0 (beta_den i r))) -mulrBl.
by rewrite -addrA addrAC addrN add0r.
Qed.

Lemma beta_factor_ge0 i (r : nat) : 0 <= (b i + r%:R) / (a i + b i + r%:R).
Proof. by rewrite divr_ge0 ?addr_ge0 ?ler0n. Qed.

Lemma beta_failure_ge0 B : 0 <= beta_failure B.
Proof. by apply: prodr_ge0 => i _; apply: prodr_ge0 => r _; apply: beta_factor_ge0. Qed.

Lemma beta_falls i (r : nat) : beta_priority i r.+1 <= beta_priority i r.
Proof.
by rewrite ler_wpmul2l // lef_pinv ?posrE ?beta_den // ler_add2l ler_nat.
Qed.

Lemma beta_passes B :
  reflect (beta_certificate B) (passes nothing unbounded (@le_R R) beta_priority B).
Proof.
apply: (iffP (passesP _ _ _ _ _)) => H i j.
  by move=> Bj; apply: H => //; rewrite ffunE.
by move=> _; rewrite ffunE; apply: H.
Qed.

(** 2.1 for any Beta prior, and 2.2. *)
Theorem beta_optimum N B : spent B = N ->
  best beta_failure N B <-> beta_certificate B \/ beta_failure B = 0.
Proof.
move=> sB; have fB : feasible nothing unbounded N B by rewrite feasible_free sB.
pose f i (r : nat) := (b i + r%:R) / (a i + b i + r%:R).
rewrite best_optimal (product_certificate (f := f) beta_failure_ge0 _ _ beta_falls fB).
- by split=> -[/beta_passes|]; auto.
- by move=> i C; apply: (product_give f).
by move=> i r j s; rewrite /f !beta_factor ler_add2l ler_opp2.
Qed.

Theorem beta_greedy_optimal B :
  greedy nothing unbounded (@le_R R) beta_priority B -> best beta_failure (spent B) B.
Proof.
move=> gB; apply/beta_optimum => //; left.
by apply/beta_passes; apply: greedy_passes gB => //; apply: beta_falls.
Qed.
End Beta.

Section Concentration.
Variables (I : finType) (R : realFieldType) (kappa : R) (w : I -> R).
Hypotheses (kappa_gt0 : 0 < kappa) (w01 : forall i, 0 <= w i <= 1).

Definition failure (B : alloc I) : R :=
  \prod_i \prod_(r < B i) ((kappa * (1 - w i) + r%:R) / (kappa + r%:R)).
Definition priority i (r : nat) : R := w i / (kappa + r%:R).
Definition certificate (B : alloc I) :=
  forall i j, (0 < B j)%N -> priority i (B i) <= priority j (B j).-1.

Let a i := kappa * w i.
Let b i := kappa * (1 - w i).

Let a_ge0 i : 0 <= a i.
Proof. by rewrite mulr_ge0 ?(ltW kappa_gt0) //; case/andP: (w01 i). Qed.

Let b_ge0 i : 0 <= b i.
Proof. by rewrite mulr_ge0 ?(ltW kappa_gt0) // subr_ge0; case/andP: (w01 i). Qed.

Let abE i : a i + b i = kappa.
Proof. by rewrite -mulrDr addrCA subrr addr0 mulr1. Qed.

Let ab_gt0 i : 0 < a i + b i.
Proof. by rewrite abE. Qed.

Let failureE B : failure B = beta_failure a b B.
Proof. by apply: eq_bigr => i _; apply: eq_bigr => r _; rewrite abE. Qed.

Let priorityE i r : beta_priority a b i r = kappa * priority i r.
Proof. by rewrite /beta_priority abE mulrA. Qed.

Let certificateE B : certificate B <-> beta_certificate a b B.
Proof.
by split=> H i j Bj; have := H i j Bj; rewrite !priorityE ler_pmul2l.
Qed.

Let bestE N B : best failure N B <-> best (beta_failure a b) N B.
Proof.
by split=> -[sB H]; split=> // C sC; have := H C sC; rewrite !failureE.
Qed.

(** The form in which a rollout is seen to multiply failure by 1 - κ w / (κ + r). *)
Lemma failureM i B : failure (give i B) = failure B * (1 - kappa * w i / (kappa + (B i)%:R)).
Proof.
rewrite /failure (product_give (fun i r => (kappa * (1 - w i) + r%:R) / (kappa + r%:R))).
congr (_ * _).
have := beta_factor ab_gt0 i (B i).
by rewrite /beta_priority abE.
Qed.

Theorem optimum N B : spent B = N ->
  best failure N B <-> certificate B \/ failure B = 0.
Proof.
by move=> sB; rewrite bestE beta_optimum // failureE certificateE.
Qed.

(** What passes is optimal, w = 0 and w = 1 included. *)
Corollary certificate_optimal B : certificate B -> best failure (spent B) B.
Proof. by move=> cB; apply/optimum; last left. Qed.

Lemma failure_eq0 B : (failure B == 0) = [exists i, (w i == 1) && (0 < B i)%N].
Proof.
apply/idP/existsP => [|[i /andP[/eqP w1 Bi]]].
  case/prodf_eq0 => i _ /prodf_eq0[r _]; rewrite mulf_eq0 invr_eq0 => zero.
  exists i; rewrite (leq_ltn_trans (leq0n r)) // andbT.
  have den : 0 < kappa + r%:R by rewrite ltr_paddr ?ler0n.
  have num : 0 <= kappa * (1 - w i) by apply: b_ge0.
  move: zero; rewrite (gt_eqF den) orbF addrC paddr_eq0 ?ler0n // => /andP[_].
  by rewrite mulf_eq0 (gt_eqF kappa_gt0) /= subr_eq0 eq_sym.
apply/prodf_eq0; exists i => //; apply/prodf_eq0; exists (Ordinal Bi) => //=.
by rewrite w1 subrr mulr0 add0r mul0r.
Qed.

(** 2.2. Where no w is 1, exactly the allocations that pass are optimal. *)
Theorem certificate_decides N B : (forall i, w i < 1) -> spent B = N ->
  best failure N B <-> certificate B.
Proof.
move=> w_lt1 sB; rewrite optimum //; split=> [[//|/eqP]|]; last by left.
by rewrite failure_eq0 => /existsP[i]; rewrite (lt_eqF (w_lt1 i)).
Qed.

(** 2.1. N times the largest priority w / (κ + r), ties broken in any way. *)
Theorem greedy_optimal B :
  greedy nothing unbounded (@le_R R) priority B -> best failure (spent B) B.
Proof.
move=> gB; apply: certificate_optimal => i j Bj.
have falls k r : le_R (priority k r.+1) (priority k r).
  have := beta_falls a_ge0 ab_gt0 k r.
  by rewrite !priorityE ler_pmul2l.
have /passesP := greedy_passes (@le_R_refl R) (@le_R_trans R) falls gB.
by move/(_ i j isT); rewrite ffunE; apply.
Qed.

Theorem greedy_spends N (i0 : I) :
  exists2 B, greedy nothing unbounded (@le_R R) priority B & spent B = N.
Proof.
apply: (@greedy_exists _ _ _ _ _ _ _ _ _ _ [ffun i => if i == i0 then N else 0%N]) => //.
rewrite feasible_free /spent (bigD1 i0) //= ffunE eqxx big1 ?addn0 // => i ii0.
by rewrite ffunE (negPf ii0).
Qed.

(** 2.3. The best candidate takes all, beside those of index j: κ >= w_j (N - 1) / (w_top - w_j). *)
Definition winner top N : alloc I := [ffun i => if i == top then N else 0%N].

Theorem winner_takes_all top N : (0 < N)%N ->
  certificate (winner top N) <->
  forall j, j != top -> w j * N.-1%:R <= kappa * (w top - w j).
Proof.
move=> N_gt0; have den n : 0 < kappa + n%:R by rewrite ltr_paddr ?ler0n.
have pair j : (priority j 0 <= priority top N.-1) = (w j * N.-1%:R <= kappa * (w top - w j)).
  rewrite /priority ler_pdivr_mulr // mulrAC ler_pdivl_mulr // addr0 mulrDr mulrBr.
  by rewrite -ler_subr_addl [w j * kappa]mulrC [w top * kappa]mulrC.
split=> [H j jt|H i j].
  by rewrite -pair; have := H j top; rewrite /winner !ffunE eqxx (negPf jt); apply.
rewrite /winner !ffunE; case: (eqVneq j top) => [-> _|//].
case: (eqVneq i top) => [->|it]; last by rewrite pair H.
by rewrite ler_wpmul2l ?lef_pinv ?posrE ?ler_add2l ?ler_nat ?leq_pred //; case/andP: (w01 top).
Qed.

(** 2.4. The paper's surrogate, sum_i κ w_i [ψ(κ + B_i) - ψ(κ)], where ψ(x + 1) = ψ(x) + 1 / x. *)
Definition surrogate (B : alloc I) : R := \sum_i \sum_(r < B i) kappa * w i / (kappa + r%:R).

Lemma surrogate_give i B : surrogate (give i B) = surrogate B + kappa * priority i (B i).
Proof.
rewrite /surrogate (bigD1 i) //= [in RHS](bigD1 i) //= ffunE eqxx addn1 big_ord_recr /=.
rewrite [RHS]addrAC -mulrA; congr (_ + _ + _).
by apply: eq_bigr => k ki; rewrite ffunE (negPf ki) addn0.
Qed.

Theorem surrogate_certificate N B : spent B = N ->
  certificate B <-> forall C, spent C = N -> surrogate C <= surrogate B.
Proof.
move=> sB; pose d i r := kappa * priority i r.
have falls i r : le_R (d i r.+1) (d i r).
  by have := beta_falls a_ge0 ab_gt0 i r; rewrite !priorityE.
have fB : feasible nothing unbounded N B by rewrite feasible_free sB.
have decides : optimal nothing unbounded (@le_R R) surrogate N B
    <-> passes nothing unbounded (@le_R R) d B.
  by apply: certificateP => //; [apply: sum_moves_lose_nothing | apply: sum_moves_gain];
    apply: surrogate_give.
have passesE : passes nothing unbounded (@le_R R) d B <-> certificate B.
  split=> [/passesP H i j Bj|H]; last first.
    by apply/passesP=> i j _; rewrite ffunE => Bj; rewrite /le_R ler_pmul2l // H.
  by have := H i j isT; rewrite ffunE /le_R ler_pmul2l //; apply.
split=> [/passesE/decides[_ H] C sC|H]; first by apply: H; rewrite feasible_free sC.
apply/passesE/decides; split=> // C; rewrite feasible_free => /eqP sC; exact: H sC.
Qed.

Corollary surrogate_same_optima N B : (forall i, w i < 1) -> spent B = N ->
  best failure N B <-> forall C, spent C = N -> surrogate C <= surrogate B.
Proof.
by move=> w_lt1 sB; apply: iff_trans (certificate_decides w_lt1 sB) (surrogate_certificate sB).
Qed.
End Concentration.
