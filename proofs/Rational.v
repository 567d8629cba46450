(** Coq's binary rationals Qc as an ordered field of mathcomp, so that what is proved for any such
    field is said of numbers that Coq computes with quickly. *)
From Coq Require Import ZArith QArith Qcanon.
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Local Open Scope Qc_scope.
Local Notation zero := (Q2Qc 0).

Definition Qc_eqb (x y : Qc) : bool := Qeq_bool x y.
Lemma Qc_eqP : Equality.axiom Qc_eqb.
Proof.
move=> x y; apply: (iffP idP) => [/Qeq_bool_iff/Qc_is_canon|->] //.
by apply/Qeq_bool_iff; apply: Qeq_refl.
Qed.
Canonical Qc_eqType := EqType Qc (EqMixin Qc_eqP).

Definition Qc_code (x : Qc) := (Z.ltb (Qnum x) 0, Z.abs_nat (Qnum x), Pos.to_nat (Qden x)).
Definition Qc_decode (c : bool * nat * nat) : Qc :=
  let n := Z.of_nat c.1.2 in Q2Qc (Qmake (if c.1.1 then Z.opp n else n) (Pos.of_nat c.2)).
Lemma Qc_codeK : cancel Qc_code Qc_decode.
Proof.
move=> x; apply: Qc_is_canon; apply: (Qeq_trans _ _ _ (Qred_correct _)).
rewrite /= Pos2Nat.id Zabs2Nat.id_abs; case: (this x) => n d /=.
case: (Z.ltb_spec n 0) => s; last by rewrite Z.abs_eq.
by rewrite Z.abs_neq ?Z.opp_involutive //; apply/Z.lt_le_incl.
Qed.
Canonical Qc_choiceType := ChoiceType Qc (CanChoiceMixin Qc_codeK).

Definition Qc_zmodMixin := ZmodMixin Qcplus_assoc Qcplus_comm Qcplus_0_l
  (fun x => eq_trans (Qcplus_comm (- x) x) (Qcplus_opp_r x)).
Canonical Qc_zmodType := ZmodType Qc Qc_zmodMixin.
Definition Qc_ringMixin := @ComRingMixin Qc_zmodType (Q2Qc 1) Qcmult Qcmult_assoc Qcmult_comm
  Qcmult_1_l Qcmult_plus_distr_l isT.
Canonical Qc_ringType := RingType Qc Qc_ringMixin.
Canonical Qc_comRingType := ComRingType Qc Qcmult_comm.

Lemma Qc_mulV : GRing.Field.axiom (R := Qc_ringType) Qcinv.
Proof. by move=> x /eqP x0; apply: Qcmult_inv_l. Qed.
Lemma Qc_inv0 : Qcinv (Q2Qc 0) = Q2Qc 0. Proof. exact: Qc_is_canon. Qed.
Definition Qc_unitMixin := FieldUnitMixin Qc_mulV Qc_inv0.
Canonical Qc_unitRingType := UnitRingType Qc Qc_unitMixin.
Canonical Qc_comUnitRingType := [comUnitRingType of Qc].
Lemma Qc_fieldMixin : GRing.Field.mixin_of Qc_unitRingType. Proof. by []. Qed.
Canonical Qc_idomainType := IdomainType Qc (FieldIdomainMixin Qc_fieldMixin).
Canonical Qc_fieldType := FieldType Qc Qc_fieldMixin.

Definition Qc_leb (x y : Qc) : bool := Qle_bool x y.
Definition Qc_ltb (x y : Qc) : bool := ~~ Qc_leb y x.
Definition Qc_abs (x : Qc) : Qc := if Qc_leb zero x then x else - x.

Lemma Qc_lebP x y : reflect (x <= y) (Qc_leb x y).
Proof. by apply: (iffP idP) => /Qle_bool_iff. Qed.

Lemma Qc_le0D x y : Qc_leb zero x -> Qc_leb zero y -> Qc_leb zero (x + y).
Proof.
by move=> /Qc_lebP x0 /Qc_lebP y0; apply/Qc_lebP; apply: (Qcplus_le_compat zero x zero y).
Qed.
Lemma Qc_le0M x y : Qc_leb zero x -> Qc_leb zero y -> Qc_leb zero (x * y).
Proof.
move=> /Qc_lebP x0 /Qc_lebP y0; apply/Qc_lebP; rewrite -(Qcmult_0_l y).
exact: Qcmult_le_compat_r.
Qed.
Lemma Qc_le0_anti x : Qc_leb zero x -> Qc_leb x zero -> x = zero.
Proof. by move=> /Qc_lebP x0 /Qc_lebP ?; apply: Qcle_antisym. Qed.
Lemma Qc_sub_ge0 x y : Qc_leb zero (y - x) = Qc_leb x y.
Proof. by apply/Qc_lebP/Qc_lebP; rewrite -Qcle_minus_iff. Qed.
Lemma Qc_le_total x y : Qc_leb x y || Qc_leb y x.
Proof. by apply/orP; case: (Qclt_le_dec x y) => [/Qclt_le_weak|] /Qc_lebP; auto. Qed.
Lemma Qc_absN x : Qc_abs (- x) = Qc_abs x.
Proof.
rewrite /Qc_abs; case: Qc_lebP => xn; case: Qc_lebP => xp //.
- have -> : x = zero.
    apply: Qcle_antisym xp; have := Qcopp_le_compat _ _ xn; by rewrite Qcopp_involutive.
  by apply: Qc_is_canon.
- by rewrite Qcopp_involutive.
by case/orP: (Qc_le_total zero x) => /Qc_lebP // /Qcopp_le_compat.
Qed.
Lemma Qc_ge0_abs x : Qc_leb zero x -> Qc_abs x = x.
Proof. by rewrite /Qc_abs => ->. Qed.
Lemma Qc_lt_def x y : Qc_ltb x y = (y != x) && Qc_leb x y.
Proof.
rewrite /Qc_ltb; case: eqP => [->|/eqP yx] /=.
  by apply/negbF/Qc_lebP/Qcle_refl.
case: Qc_lebP => [le|nle].
  apply/esym/negP=> /Qc_lebP ge; case/eqP: yx; exact: Qcle_antisym.
by apply/esym; case/orP: (Qc_le_total x y) => // /Qc_lebP.
Qed.

Definition Qc_leMixin : realLeMixin Qc_idomainType :=
  RealLeMixin Qc_le0D Qc_le0M Qc_le0_anti Qc_sub_ge0 (Qc_le_total zero)
    Qc_absN Qc_ge0_abs Qc_lt_def.
Canonical Qc_porderType := POrderType ring_display Qc Qc_leMixin.
Canonical Qc_latticeType := LatticeType Qc Qc_leMixin.
Canonical Qc_distrLatticeType := DistrLatticeType Qc Qc_leMixin.
Canonical Qc_orderType := OrderType Qc Qc_le_total.
Canonical Qc_numDomainType := NumDomainType Qc Qc_leMixin.
Canonical Qc_normedZmodType := NormedZmodType Qc Qc Qc_leMixin.
Canonical Qc_numFieldType := [numFieldType of Qc].
Canonical Qc_realDomainType := [realDomainType of Qc].
Canonical Qc_realFieldType := [realFieldType of Qc].
