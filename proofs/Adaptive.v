(** 7.2: a verified success ends a problem, and every outcome is seen before the next rollout. Among
    all policies, which may depend on the whole history and on chance, and may idle, none has a
    larger expected value of what is solved than one that always rolls a problem with the largest
    v_m h_m(failures so far), whatever it does with ties; for every budget at once, if hazards fall.

    A rollout of an unsolved problem m after n failures succeeds with probability h_m n, whatever
    else has happened: that is what independent problems with these hazards are. The proof swaps
    the next rollout of the index policy with the one that another policy would make first. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Adaptive.
Variables (I : finType) (R : realDomainType) (v : I -> R) (h : I -> nat -> R).

(** *** The process *)

(** [Some n]: unsolved, after n failures. [None]: solved. *)
Definition state := {ffun I -> option nat}.
Definition put (s : state) m x : state := [ffun k => if k == m then x else s k].
Definition solve m (s : state) := put s m None.
Definition fail m (s : state) := put s m (omap succn (s m)).

(** The chance that a rollout of m solves it; a solved problem is not solved again. *)
Definition hazard (s : state) m : R := if s m is Some n then h m n else 0.
Definition worth (s : state) : R := \sum_(m | s m == None) v m.

(** What has happened, the latest first: m was rolled and solved, or failed; or nobody was. *)
Definition history := seq (option (I * bool)).
Definition step (e : option (I * bool)) (s : state) :=
  if e is Some (m, solved) then (if solved then solve else fail) m s else s.
Definition after (s0 : state) (past : history) := foldr step s0 past.

(** A policy rolls m with probability [pi past m], and idles with what is missing to 1. *)
Definition policy (pi : history -> I -> R) :=
  forall past, (forall m, 0 <= pi past m) /\ \sum_m pi past m <= 1.

(** The expected value of all that is solved when [n] more rollouts have been made. *)
Fixpoint expected (s0 : state) (pi : history -> I -> R) (n : nat) (past : history) : R :=
  let s := after s0 past in
  if n is n'.+1 then
    \sum_m pi past m *
      (hazard s m * expected s0 pi n' (Some (m, true) :: past)
       + (1 - hazard s m) * expected s0 pi n' (Some (m, false) :: past))
    + (1 - \sum_m pi past m) * expected s0 pi n' (None :: past)
  else worth s.

(** The index is the value times the posterior mean. An index policy rolls only problems of the
    largest index, and never idles. *)
Definition index (s : state) m : R := v m * hazard s m.
Definition is_top (s : state) m := forall k, index s k <= index s m.
Definition index_policy (s0 : state) (pi : history -> I -> R) :=
  forall past, [/\ forall m, 0 <= pi past m, \sum_m pi past m = 1
    & forall m, 0 < pi past m -> is_top (after s0 past) m].

(** *** The proof *)
Implicit Types (s t : state) (m k : I).
Hypothesis v_ge0 : forall m, 0 <= v m.
Hypothesis h01 : forall m n, 0 <= h m n <= 1.
Hypothesis hazards_fall : forall m n, h m n.+1 <= h m n.

Lemma hazard_ge0 s m : 0 <= hazard s m.
Proof. by rewrite /hazard; case: (s m) => // n; case/andP: (h01 m n). Qed.

Lemma hazard_le1 s m : 0 <= 1 - hazard s m.
Proof.
by rewrite subr_ge0 /hazard; case: (s m) => [n|]; [case/andP: (h01 m n) | apply: ler01].
Qed.

Lemma index_ge0 s m : 0 <= index s m.
Proof. by rewrite mulr_ge0 ?hazard_ge0. Qed.

Definition roll m (X : state -> R) s :=
  hazard s m * X (solve m s) + (1 - hazard s m) * X (fail m s).

Lemma roll_le m X Y s : (forall t, X t <= Y t) -> roll m X s <= roll m Y s.
Proof. by move=> XY; rewrite ler_add // ler_wpmul2l ?hazard_ge0 ?hazard_le1. Qed.

Lemma put_same s m x : put s m x m = x.
Proof. by rewrite ffunE eqxx. Qed.

Lemma put_else s m k x : k != m -> put s m x k = s k.
Proof. by move=> km; rewrite ffunE (negPf km). Qed.

Lemma put_swap s m k x y : k != m -> put (put s m x) k y = put (put s k y) m x.
Proof.
move=> km; apply/ffunP=> l; rewrite !ffunE.
by case: (eqVneq l k) => [->|//]; rewrite (negPf km).
Qed.

Lemma hazard_put s m k x : k != m -> hazard (put s m x) k = hazard s k.
Proof. by move=> km; rewrite /hazard put_else. Qed.

(** Rollouts of different problems may be swapped. *)
Lemma roll_swap m k X s : m != k -> roll m (roll k X) s = roll k (roll m X) s.
Proof.
move=> mk; have km : k != m by rewrite eq_sym.
rewrite /roll /solve /fail !hazard_put // !put_else //.
rewrite !(put_swap _ _ _ km) !mulrDr !mulrA.
rewrite addrACA ![hazard s k * _]mulrC ![(1 - hazard s k) * _]mulrC.
by rewrite addrACA.
Qed.

Lemma worth_fail m s : worth (fail m s) = worth s.
Proof.
apply: eq_bigl => k; rewrite ffunE; case: (eqVneq k m) => [->|//].
by case: (s m).
Qed.

Lemma worth_solve m s n : s m = Some n -> worth (solve m s) = worth s + v m.
Proof.
move=> sm; rewrite /worth (bigD1 m) /=; last by rewrite put_same.
rewrite addrC; congr (_ + _); apply: eq_bigl => k.
case: (eqVneq k m) => [->|km]; first by rewrite sm andbF.
by rewrite andbT put_else.
Qed.

Lemma roll_worth m s : roll m worth s = worth s + index s m.
Proof.
rewrite /roll worth_fail /index /hazard; case E: (s m) => [n|]; last first.
  by rewrite mul0r subr0 mul1r mulr0 addr0 add0r.
by rewrite (worth_solve E) mulrDr addrAC -mulrDl addrCA subrr addr0 mul1r mulrC.
Qed.

(** Whoever has the largest index keeps it while another problem is rolled. *)
Lemma is_top_fail s m k : k != m -> is_top s m -> is_top (fail k s) m.
Proof.
move=> km top l; have mk : m != k by rewrite eq_sym.
rewrite {2}/index hazard_put //; apply: le_trans (top l).
rewrite /index ler_wpmul2l // /hazard.
case: (eqVneq l k) => [->|lk]; last by rewrite put_else.
by rewrite put_same; case: (s k) => [n|]; [apply: hazards_fall | apply: lexx].
Qed.

Lemma is_top_solve s m k : k != m -> is_top s m -> is_top (solve k s) m.
Proof.
move=> km top l; have mk : m != k by rewrite eq_sym.
rewrite {2}/index hazard_put //; case: (eqVneq l k) => [->|lk].
  by rewrite /index /hazard put_same mulr0 mulr_ge0 ?hazard_ge0.
rewrite /index hazard_put //; exact: top.
Qed.

(** The largest expected value of n rollouts, by Bellman's equation; idling is allowed. *)
Fixpoint optimum (n : nat) (s : state) : R :=
  if n is n'.+1 then
    foldr (fun m x => Num.max (roll m (optimum n') s) x) (optimum n' s) (enum I)
  else worth s.

Lemma max_ge (f : I -> R) x l m : m \in l -> f m <= foldr (fun k y => Num.max (f k) y) x l.
Proof.
elim: l => // k l IH; rewrite inE /= le_maxr => /predU1P[->|/IH->]; first by rewrite lexx.
by rewrite orbT.
Qed.

Lemma max_ge_start (f : I -> R) x l : x <= foldr (fun k y => Num.max (f k) y) x l.
Proof. by elim: l => //= k l IH; rewrite le_maxr IH orbT. Qed.

Lemma max_le (f : I -> R) x l z : x <= z -> (forall m, f m <= z) ->
  foldr (fun k y => Num.max (f k) y) x l <= z.
Proof. by move=> xz fz; elim: l => //= k l IH; rewrite le_maxl fz IH. Qed.

Lemma optimum_roll n s m : roll m (optimum n) s <= optimum n.+1 s.
Proof. by apply: (max_ge (fun m => roll m (optimum n) s)); rewrite mem_enum. Qed.

Lemma optimum_idle n s : optimum n s <= optimum n.+1 s.
Proof. exact: (max_ge_start (fun m => roll m (optimum n) s)). Qed.

Lemma optimum_le n s z : optimum n s <= z -> (forall m, roll m (optimum n) s <= z) ->
  optimum n.+1 s <= z.
Proof. exact: max_le. Qed.

(** To roll a problem of the largest index is optimal, in every state, for every n. *)
Lemma top_optimal n s m : is_top s m -> optimum n.+1 s = roll m (optimum n) s.
Proof.
elim: n s m => [|n IH] s m top; apply/le_anti; rewrite optimum_roll andbT.
  apply: optimum_le => [|k]; rewrite !roll_worth ?ler_add2l //.
  by rewrite ler_addl index_ge0.
apply: optimum_le => [|k].
  by rewrite (IH _ _ top); apply: roll_le => t; apply: optimum_idle.
case: (eqVneq k m) => [->//|km].
rewrite {1}/roll (IH (solve k s) m) ?(IH (fail k s) m); last 2 first.
- exact: is_top_fail.
- exact: is_top_solve.
rewrite -/(roll k (roll m (optimum n)) s) roll_swap //.
by apply: roll_le => t; apply: optimum_roll.
Qed.

Lemma expected_le s0 pi n past : policy pi ->
  expected s0 pi n past <= optimum n (after s0 past).
Proof.
move=> piP; elim: n past => // n IH past.
set s := after s0 past; have [pi_ge0 pi_le1] := piP past.
rewrite [X in X <= _]/= -/s.
apply: le_trans (_ : (\sum_m pi past m) * optimum n.+1 s
  + (1 - \sum_m pi past m) * optimum n.+1 s <= _); last first.
  by rewrite -mulrDl addrCA subrr addr0 mul1r.
apply: ler_add; last first.
  by apply: ler_wpmul2l; [rewrite subr_ge0 | apply: le_trans (IH _) (optimum_idle _ _)].
rewrite mulr_suml; apply: ler_sum => m _; apply: ler_wpmul2l => //.
apply: le_trans (optimum_roll n s m); rewrite ler_add //.
  by apply: ler_wpmul2l (IH _); apply: hazard_ge0.
by apply: ler_wpmul2l (IH _); apply: hazard_le1.
Qed.

Lemma expected_index s0 pi n past : index_policy s0 pi ->
  expected s0 pi n past = optimum n (after s0 past).
Proof.
move=> piP; elim: n past => // n IH past.
set s := after s0 past; have [pi_ge0 pi1 pi_top] := piP past.
rewrite [LHS]/= -/s pi1 subrr mul0r addr0.
rewrite (eq_bigr (fun m => pi past m * optimum n.+1 s)) => [|m _].
  by rewrite -mulr_suml pi1 mul1r.
have := pi_ge0 m; rewrite le_eqVlt => /predU1P[<-|pim]; first by rewrite !mul0r.
by rewrite (top_optimal n (pi_top m pim)) !IH.
Qed.

(** 7.2. *)
Theorem index_policy_optimal s0 index_pi : index_policy s0 index_pi ->
  forall pi N, policy pi -> expected s0 pi N [::] <= expected s0 index_pi N [::].
Proof. by move=> indexP pi N piP; rewrite (expected_index N _ indexP) expected_le. Qed.
End Adaptive.
