(** What is not so: neighbors of the statements that are proved, each with an instance. *)
From Coq Require Import QArith Qcanon.
From mathcomp Require Import all_ssreflect all_algebra.
From Dora Require Import Exchange Optimum Executable Rational.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation "n // d" := (Q2Qc (Qmake n d)) (at level 40).

(** The certificate with each divisor one larger, w / (κ + r + 1). *)
Definition next_certificate (I : finType) (R : realFieldType) (kappa : R) (w : I -> R) B :=
  certificate (kappa + 1) w B.

(** It lets (2, 0) pass at κ = 1/2, w = (1/2, 1/4), where (1, 1) fails less. *)
Theorem next_certificate_refuted : exists (w : seq Qc) (B C : seq nat),
  [/\ next_certificate (1 // 2) (weights w) (allocation w B),
      spent (allocation w C) = spent (allocation w B)
    & failure (1 // 2) (weights w) (allocation w C)
      < failure (1 // 2) (weights w) (allocation w B)].
Proof.
exists [:: 1 // 2; 1 // 4], [:: 2; 0]%N, [:: 1; 1]%N; split.
- by apply/run_certificateP; vm_compute.
- by rewrite /spent !big_ord_recl !big_ord0 !ffunE.
by rewrite -!run_failureE; vm_compute.
Qed.

(** Where some w is 1, an optimum need not pass: κ = 1, w = (1, 1/2), (1, 4) cannot fail. *)
Theorem certificate_not_necessary : exists (w : seq Qc) (B : seq nat),
  best (failure 1 (weights w)) 5 (allocation w B) /\ ~ certificate 1 (weights w) (allocation w B).
Proof.
exists [:: 1; 1 // 2], [:: 1; 4]%N; split; last by move/run_certificateP; vm_compute.
apply/optimum => [|i||].
- exact: ltr01.
- by case: i => [[|[|//]] ?]; rewrite /weights /=; vm_compute.
- by rewrite /spent !big_ord_recl big_ord0 !ffunE.
by right; rewrite -run_failureE; apply: Qc_is_canon; vm_compute.
Qed.
