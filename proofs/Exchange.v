(** Allocations of a budget, the certificate, and greedy, for any objective.

    Rollout number r (from 0) of item i has a priority p i r, which falls in r. Nothing is known of
    the objective V but this: moving one rollout to a place of no smaller priority loses nothing,
    and to a place of larger priority gains. From that alone follow
    - [passes_optimal]: an allocation that passes the certificate is optimal;
    - [optimal_passes]: every optimum passes it, so that ties are decided as well;
    - [greedy_passes], [greedy_exists]: greedy, however it breaks ties, yields one that passes.
    Floors and caps of each item are included. *)
From mathcomp Require Import all_ssreflect.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Section Allocations.
Variable I : finType.

Definition alloc := {ffun I -> nat}.
Implicit Types (B C : alloc) (i j : I).

Definition spent B := \sum_i B i.

(** One rollout more for i; one less for j; one of j given to i. *)
Definition give i B : alloc := [ffun k => B k + (k == i)].
Definition take j B : alloc := [ffun k => B k - (k == j)].
Definition move i j B : alloc := [ffun k => B k + (k == i) - (k == j)].

(** At least lo, at most cap; [None] is no cap. *)
Variables (lo : alloc) (cap : I -> option nat).
Definition within i b := if cap i is Some most then b <= most else true.
Definition room i b := if cap i is Some most then b < most else true.
Definition feasible N B := (spent B == N) && [forall i, (lo i <= B i) && within i (B i)].

Lemma spent_give i B : spent (give i B) = (spent B).+1.
Proof.
rewrite /spent (eq_bigr (fun k => B k + (k == i))) => [|k _]; last by rewrite ffunE.
by rewrite big_split /= -big_mkcond /= big_pred1_eq addn1.
Qed.

Lemma give_take j B : 0 < B j -> give j (take j B) = B.
Proof.
by move=> Bj; apply/ffunP=> k; rewrite !ffunE; case: eqP => [->|_]; rewrite ?subnK // subn0 addn0.
Qed.

Lemma move_take i j B : i != j -> move i j B = give i (take j B).
Proof.
move=> ij; apply/ffunP=> k; rewrite !ffunE.
by case: (eqVneq k j) => [->|_]; rewrite ?subn0 // eq_sym (negPf ij) !addn0.
Qed.

Lemma take_else i j B : i != j -> take j B i = B i.
Proof. by move=> ij; rewrite ffunE (negPf ij) subn0. Qed.

Lemma take_same j B : take j B j = (B j).-1.
Proof. by rewrite ffunE eqxx subn1. Qed.

Lemma spent_move i j B : i != j -> 0 < B j -> spent (move i j B) = spent B.
Proof. by move=> ij Bj; rewrite move_take // -{2}(give_take Bj) !spent_give. Qed.

Lemma moveE_to i j B : i != j -> move i j B i = (B i).+1.
Proof. by move=> ij; rewrite ffunE eqxx (negPf ij) subn0 addn1. Qed.

Lemma moveE_from i j B : i != j -> move i j B j = (B j).-1.
Proof. by move=> ij; rewrite ffunE eqxx eq_sym (negPf ij) addn0 subn1. Qed.

Lemma moveE_else i j k B : k != i -> k != j -> move i j B k = B k.
Proof. by move=> ki kj; rewrite ffunE (negPf ki) (negPf kj) addn0 subn0. Qed.

Lemma room_within i b : room i b = within i b.+1.
Proof. by rewrite /room /within; case: (cap i). Qed.

Lemma within_le i a b : a <= b -> within i b -> within i a.
Proof. by rewrite /within; case: (cap i) => // c; apply: leq_trans. Qed.

Lemma room_le i a b : a <= b -> room i b -> room i a.
Proof. by rewrite !room_within -ltnS; apply: within_le. Qed.

Lemma feasibleP N B :
  reflect (spent B = N /\ forall i, lo i <= B i /\ within i (B i)) (feasible N B).
Proof.
apply: (iffP andP) => -[/eqP sB]; last by move=> H; split=> //; apply/forallP=> i; apply/andP.
by move/forallP=> H; split=> // i; apply/andP.
Qed.

Lemma feasible_move N i j B :
  i != j -> lo j < B j -> room i (B i) -> feasible N B -> feasible N (move i j B).
Proof.
move=> ij loj roomi /feasibleP[<- fB]; apply/feasibleP.
split=> [|k]; first by rewrite spent_move // (leq_ltn_trans _ loj).
have [lok wik] := fB k; case: (eqVneq k i) => [->|ki].
  by rewrite moveE_to // -room_within; split=> //; case: (fB i) => + _; move/leqW.
case: (eqVneq k j) => [->|kj]; last by rewrite moveE_else.
rewrite moveE_from //; split; first by rewrite -ltnS prednK // (leq_ltn_trans _ loj).
exact: within_le (leq_pred _) (proj2 (fB j)).
Qed.

(** Where as much is spent, and B differs from C, something is above and something below. *)
Definition excess C B := \sum_i (C i - B i).

Lemma excess0 B C : spent C = spent B -> excess C B = 0 -> C = B.
Proof.
move=> sCB /eqP; rewrite sum_nat_eq0 => /forallP le0.
have leCB i : C i <= B i by rewrite -subn_eq0; have := le0 i.
apply/ffunP=> i; apply/eqP; rewrite eqn_leq leCB /=.
move: sCB; rewrite /spent (bigD1 i) //= (bigD1 i (F := B)) //= => sCB.
rewrite leqNgt; apply/negP=> lti.
have: C i + \sum_(k | k != i) C k < B i + \sum_(k | k != i) B k.
  by rewrite -addSn leq_add // leq_sum.
by rewrite sCB ltnn.
Qed.

Lemma excess_above B C : excess C B != 0 -> exists j, B j < C j.
Proof.
rewrite sum_nat_eq0 negb_forall => /existsP[j]; rewrite implyTb subn_eq0 -ltnNge => H.
by exists j.
Qed.

Lemma excess_below B C : spent C = spent B -> excess C B != 0 -> exists i, C i < B i.
Proof.
move=> sCB nz; have [j ltj] := excess_above nz.
apply/existsP; apply: contraT; rewrite negb_exists => /forallP none.
have leBC i : B i <= C i by rewrite leqNgt none.
move: sCB; rewrite /spent (bigD1 j) //= (bigD1 j (F := B)) //= => /eqP.
by rewrite gtn_eqF // -addSn leq_add // leq_sum.
Qed.

Lemma excess_move B C i j :
  C i < B i -> B j < C j -> excess (move i j C) B < excess C B.
Proof.
move=> lti ltj; have ij : i != j.
  by apply: contraTneq ltj => <-; rewrite -leqNgt ltnW.
rewrite /excess (bigD1 j) //= (bigD1 j (F := fun k => C k - B k)) //= moveE_from //.
rewrite -addSn; apply: leq_add; first by rewrite -subn1 subnAC subn1 prednK ?subn_gt0.
apply: leq_sum => k kj; case: (eqVneq k i) => [->|ki]; last by rewrite moveE_else.
by rewrite moveE_to // (eqP (_ : (C i).+1 - B i == 0)) ?subn_eq0.
Qed.

(** ** The certificate *)
Variables (T : Type) (le : rel T).
Hypotheses (le_refl : reflexive le) (le_trans : transitive le).
Variable p : I -> nat -> T.
Hypothesis falls : forall i r, le (p i r.+1) (p i r).

(** No priority that is left, where there is room, exceeds one that is served above its floor. *)
Definition passes B :=
  [forall i, forall j, room i (B i) ==> (lo j < B j) ==> le (p i (B i)) (p j (B j).-1)].

Lemma passesP B :
  reflect (forall i j, room i (B i) -> lo j < B j -> le (p i (B i)) (p j (B j).-1)) (passes B).
Proof.
apply: (iffP forallP) => [H i j ri lj|H i].
  by have /forallP/(_ j) := H i; rewrite ri lj.
by apply/forallP=> j; apply/implyP=> ri; apply/implyP=> lj; apply: H.
Qed.

Lemma falls_le i r s : r <= s -> le (p i s) (p i r).
Proof.
by move/subnKC<-; elim: (s - r) => [|d IH]; rewrite ?addn0 // addnS; apply: le_trans IH.
Qed.

(** *** Objectives *)
Variables (U : Type) (leU : rel U).
Hypotheses (leU_refl : reflexive leU) (leU_trans : transitive leU).
Variable V : alloc -> U.

Definition optimal N B := feasible N B /\ forall C, feasible N C -> leU (V C) (V B).

Definition moves_lose_nothing := forall C i j, i != j -> 0 < C j ->
  le (p j (C j).-1) (p i (C i)) -> leU (V C) (V (move i j C)).

Definition moves_gain B := forall i j, i != j -> 0 < B j ->
  ~~ le (p i (B i)) (p j (B j).-1) -> ~~ leU (V (move i j B)) (V B).

Theorem passes_optimal N B :
  moves_lose_nothing -> feasible N B -> passes B -> optimal N B.
Proof.
move=> fair fB /passesP pB; split=> // C.
have [sB boundsB] := feasibleP _ _ fB.
have [n] := ubnP (excess C B); elim: n C => // n IH C ltn fC.
have [sC boundsC] := feasibleP _ _ fC.
have sCB : spent C = spent B by rewrite sC sB.
case: (eqVneq (excess C B) 0) => [e0|nz]; first by rewrite (excess0 sCB e0).
have [j ltj] := excess_above nz; have [i lti] := excess_below sCB nz.
have ij : i != j by apply: contraTneq ltj => <-; rewrite -leqNgt ltnW.
have [[loBj _] [loCi _]] := (boundsB j, boundsC i).
have [[_ inBi] [_ inCj]] := (boundsB i, boundsC j).
have fC' : feasible N (move i j C).
  apply: feasible_move => //; first exact: leq_ltn_trans ltj.
  by rewrite room_within; apply: within_le lti inBi.
apply: leU_trans (IH _ _ fC'); last exact: leq_trans (excess_move lti ltj) _.
apply: fair => //; first exact: leq_ltn_trans ltj.
apply: le_trans (falls_le i (_ : C i <= (B i).-1)); last first.
  by rewrite -ltnS prednK // (leq_ltn_trans _ lti).
apply: le_trans (falls_le j (_ : B j <= (C j).-1)) _.
  by rewrite -ltnS prednK // (leq_ltn_trans _ ltj).
apply: pB; first by rewrite room_within; apply: within_le ltj inCj.
exact: leq_ltn_trans lti.
Qed.

Theorem optimal_passes N B : moves_gain B -> optimal N B -> passes B.
Proof.
move=> gain [fB best]; apply/passesP=> i j ri lj.
have Bj : 0 < B j by apply: leq_ltn_trans lj.
case: (eqVneq i j) lj => [<- _|ij lj]; first by apply: falls_le; apply: leq_pred.
apply/negPn/negP=> /(gain i j ij Bj) /negP; apply; apply: best.
exact: feasible_move.
Qed.

Corollary certificateP N B :
  moves_lose_nothing -> moves_gain B -> feasible N B -> optimal N B <-> passes B.
Proof.
by move=> fair gain fB; split; [apply: optimal_passes | apply: passes_optimal].
Qed.

(** ** Greedy: next comes any rollout of the largest priority for which there is room *)
Definition greedy_step B C := exists i,
  [/\ room i (B i), forall j, room j (B j) -> le (p j (B j)) (p i (B i)) & C = give i B].

Inductive greedy : alloc -> Prop :=
| GreedyStart : greedy lo
| GreedyStep B C : greedy B -> greedy_step B C -> greedy C.

Lemma greedy_bounds B : (forall i, within i (lo i)) -> greedy B ->
  feasible (spent B) B.
Proof.
move=> lo_ok; elim=> [|{}B C _ fB [i [ri _ ->]]]; first by apply/feasibleP.
have [_ bounds] := feasibleP _ _ fB; apply/feasibleP; split=> // k; rewrite ffunE.
case: (eqVneq k i) (bounds k) => [->|_]; rewrite ?addn0 // addn1 -room_within => -[lok _].
by split=> //; apply: leqW.
Qed.

Theorem greedy_passes B : greedy B -> passes B.
Proof.
elim=> [|{}B C _ /passesP pB [k [rk top ->]]]; first by apply/passesP=> i j _; rewrite ltnn.
apply/passesP=> i j; rewrite !ffunE.
have le_before : room i (B i + (i == k)) ->
    room i (B i) /\ le (p i (B i + (i == k))) (p i (B i)).
  by move=> ri; split; [apply: room_le ri | apply: falls_le]; apply: leq_addr.
move/le_before=> [ri lei]; case: (eqVneq j k) => [->|_] lj.
  by rewrite addn1; apply: le_trans lei (top i ri).
by rewrite addn0 in lj *; apply: le_trans lei (pB i j ri lj).
Qed.

Corollary greedy_optimal B : moves_lose_nothing -> (forall i, within i (lo i)) ->
  greedy B -> optimal (spent B) B.
Proof.
by move=> fair ok gB; apply: passes_optimal (greedy_bounds ok gB) (greedy_passes gB).
Qed.

(** Greedy goes on as long as any allocation does. *)
Hypothesis le_total : total le.

Lemma has_top (f : I -> T) (s : seq I) :
  s != [::] -> exists2 i, i \in s & forall j, j \in s -> le (f j) (f i).
Proof.
elim: s => // i [_ _|j s /(_ isT) [k ks top] _].
  by exists i; rewrite ?mem_head // => j; rewrite inE => /eqP->.
case/orP: (le_total (f i) (f k)) => [ik|ki]; [exists k|exists i]; rewrite ?mem_head //.
- by rewrite inE ks orbT.
- by move=> l; rewrite inE => /predU1P[->|/top].
by move=> l; rewrite inE => /predU1P[->|/top lk] //; apply: le_trans ki.
Qed.

Theorem greedy_exists N C : feasible N C -> exists2 B, greedy B & spent B = N.
Proof.
move=> /feasibleP[sC bounds].
have below n : spent lo + n <= N -> exists2 B, greedy B & spent B = spent lo + n.
  elim: n => [_|n IH ltn]; first by exists lo; [apply: GreedyStart | rewrite addn0].
  rewrite addnS in ltn *; have [B gB sB] := IH (ltnW ltn).
  have [i0 ri0] : exists i, room i (B i).
    apply/existsP; apply: contraT; rewrite negb_exists => /forallP none.
    have: spent C <= spent B.
      apply: leq_sum => i _; rewrite leqNgt; apply: contra (none i) => lti.
      by rewrite room_within; apply: within_le lti (proj2 (bounds i)).
    by rewrite sC sB leqNgt ltn.
  have [|i ri top] := @has_top (fun i => p i (B i)) [seq i <- enum I | room i (B i)].
    by apply/eqP=> none; have := mem_filter (fun i => room i (B i)) i0 (enum I);
      rewrite none ri0 mem_enum.
  move: ri; rewrite mem_filter => /andP[ri _].
  exists (give i B); last by rewrite spent_give sB.
  apply: GreedyStep gB _; exists i; split=> // j rj; apply: top.
  by rewrite mem_filter rj mem_enum.
have lo_le : spent lo <= N by rewrite -sC leq_sum // => i _; case: (bounds i).
by have [|B gB] := below (N - spent lo); rewrite subnKC // => sB; exists B.
Qed.
End Allocations.
