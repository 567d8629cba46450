(** 3.3: where rounding N w_i keeps the budget, it is Webster's method, the divisor method with
    divisors 1/2 + r, and so the optimum for κ = 1/2. Halves may be rounded either way. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange Separable Optimum.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Divisors.
Variables (I : finType) (R : realFieldType).
Implicit Types (w : I -> R) (B : alloc I).

Definition half : R := 2%:R^-1.

(** x is rounded to b, a half to either side. *)
Definition rounds_to (x : R) (b : nat) := `|x - b%:R| <= half.

(** The divisor method with divisors c + r: at one scale s, every s w_i lies between the divisors
    on both sides of B_i. Webster's method is c = 1/2, where that means rounding. *)
Definition at_scale (c s : R) w B :=
  forall i, s * w i <= c + (B i)%:R /\ ((0 < B i)%N -> c + (B i).-1%:R <= s * w i).
Definition divisor_method c w B := exists2 s : R, 0 < s & at_scale c s w B.
Definition webster := divisor_method half.

Lemma half_gt0 : 0 < half.
Proof. by rewrite invr_gt0 ltr0n. Qed.

Lemma half_twice : half + half = 1.
Proof. by rewrite /half -[2%:R^-1]mul1r -splitr. Qed.

Lemma rounds_at_scale s w B :
  (forall i, rounds_to (s * w i) (B i)) -> at_scale half s w B.
Proof.
move=> near i; move: (near i); rewrite /rounds_to ler_distl => /andP[low high].
split=> [|Bi]; first by rewrite addrC.
apply: le_trans low; rewrite ler_subr_addr addrAC half_twice.
by rewrite addrC -mulrSr prednK.
Qed.

(** Having a common scale is passing the certificate of 2.2. *)
Theorem divisor_certificate c w B : 0 < c -> (forall i, 0 <= w i) ->
  divisor_method c w B -> certificate c w B.
Proof.
move=> c_gt0 w_ge0 [s s_gt0 scaled] i j Bj.
have den n : 0 < c + n%:R by rewrite ltr_paddr ?ler0n.
apply: (@le_trans _ _ s^-1); rewrite /priority.
  by rewrite ler_pdivr_mulr // ler_pdivl_mull //; case: (scaled i).
by rewrite ler_pdivl_mulr // ler_pdivr_mull //; case: (scaled j) => _; apply.
Qed.

Theorem certificate_divisor c w B : 0 < c -> (forall i, 0 <= w i) ->
  (exists i, 0 < w i) -> (forall j, (0 < B j)%N -> 0 < w j) ->
  certificate c w B -> divisor_method c w B.
Proof.
move=> c_gt0 w_ge0 [k wk] served pB.
have den n : 0 < c + n%:R by rewrite ltr_paddr ?ler0n.
have [|i _ top] := @has_top I R (@le_R R) (@le_R_refl R) (@le_R_trans R) (@le_R_total R)
  (fun i => priority c w i (B i)) (enum I).
  by apply/eqP=> none; have := mem_enum I k; rewrite none.
have p_gt0 : 0 < priority c w i (B i).
  apply: lt_le_trans (top k _); rewrite ?mem_enum //.
  by rewrite divr_gt0.
exists (priority c w i (B i))^-1; first by rewrite invr_gt0.
move=> l; split=> [|Bl]; rewrite ?ler_pdivr_mull ?ler_pdivl_mull //.
  by rewrite -ler_pdivr_mulr //; apply: top; rewrite mem_enum.
by rewrite -ler_pdivl_mulr //; apply: pB.
Qed.

Section Rebase.
Variables (w : I -> R) (N : nat) (B : alloc I).
Hypothesis w01 : forall i, 0 <= w i <= 1.
Hypothesis rounded : forall i, rounds_to (N%:R * w i) (B i).
Hypothesis keeps : spent B = N.

Let certified : certificate half w B.
Proof.
have w_ge0 i : 0 <= w i by case/andP: (w01 i).
case: N keeps rounded => [/eqP sB _ i j|n _ near].
  by move: sB; rewrite sum_nat_eq0 => /forallP/(_ j)/eqP->.
apply: divisor_certificate (half_gt0) w_ge0 _.
by exists n.+1%:R; [rewrite ltr0n | apply: rounds_at_scale].
Qed.

Theorem rounding_is_webster : (0 < N)%N -> webster w B.
Proof. by move=> N_gt0; exists N%:R; [rewrite ltr0n | apply: rounds_at_scale]. Qed.

Theorem rounding_certified : certificate half w B.
Proof. exact: certified. Qed.

Theorem rounding_optimal : best (failure half w) N B.
Proof. by rewrite -keeps; apply: certificate_optimal w01 _ certified; apply: half_gt0. Qed.
End Rebase.
End Divisors.
