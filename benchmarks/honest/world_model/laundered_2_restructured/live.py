"""Entry point: python live.py --task Pendulum-v1"""
import json

import numpy as np
import torch

from brain import Brain, Player
from learning import Teacher
from options import read_options
from stage import Diary, Stage


class Life:
    FIGURES_PER_LINE = 100

    def __init__(self, options):
        self.options = o = options
        torch.manual_seed(o.seed)
        self.rng = np.random.default_rng(o.seed)
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda")
        self.stage = Stage(o.task, seed=o.seed, hold=o.hold)
        self.exam_stage = Stage(o.task, seed=1000 + o.seed, hold=o.hold)
        self.diary = Diary(self.stage.action_dim, o.diary_limit, seed=o.seed)
        self.brain = Brain(self.stage.action_dim).to(self.device)
        self.teacher = Teacher(self.brain)
        self.player = Player(self.brain, noise=o.noise)
        self.lessons = []
        self.born = self.now = 0
        o.where.mkdir(exist_ok=True, parents=True)
        if o.from_file:
            self.wake(torch.load(o.from_file, map_location=self.device))

    def wake(self, saved):
        self.brain.load_state_dict(saved["brain"])
        self.teacher.load(saved["adams"])
        self.born = self.now = saved["now"]

    def sleep(self):
        saved = dict(now=self.now, brain=self.brain.state_dict(), adams=self.teacher.dump())
        torch.save(saved, self.options.where / "brain.pt")

    def tell(self, figures):
        entry = {"decision": self.now}
        entry.update((name, round(figure, 5)) for name, figure in figures.items())
        print(*(f"{name} {figure}" for name, figure in entry.items()), sep="  ", flush=True)
        with (self.options.where / "story.jsonl").open("a") as story:
            print(json.dumps(entry), file=story)

    def open_episode(self):
        self.frame = self.stage.open()
        self.player.forget_all()
        self.earned = 0.0
        self.diary.write_opening(self.frame)

    def choose(self):
        if self.options.from_file or self.now > self.blind_until:
            return self.player(self.frame)
        return self.rng.uniform(-1, 1, size=self.stage.action_dim).astype(np.float32)

    def act(self):
        action = self.choose()
        outcome = self.stage.play(action)
        self.diary.write(action, outcome)
        self.frame = outcome.frame
        self.earned += outcome.payoff
        if not outcome.over:
            return
        self.tell({"earned": self.earned})
        self.open_episode()

    def learn(self):
        if self.now % self.options.lesson_gap or self.now - self.born <= self.blind_until:
            return
        pages = self.diary.pages(self.device, self.options.span, self.options.pages)
        self.lessons.append(self.teacher.lesson(pages))
        if len(self.lessons) < self.FIGURES_PER_LINE:
            return
        names = list(self.lessons[0])
        table = np.array([[lesson[name] for name in names] for lesson in self.lessons])
        self.tell(dict(zip(names, table.mean(axis=0).tolist())))
        self.lessons = []

    def exam(self):
        if self.now % self.options.exam_gap:
            return
        marks = [self.exam_episode() for _ in range(self.options.exam_episodes)]
        self.tell({"exam": sum(marks) / len(marks)})
        self.sleep()

    def exam_episode(self):
        player = Player(self.brain)
        frame, mark = self.exam_stage.open(), 0.0
        while True:
            outcome = self.exam_stage.play(player(frame))
            frame = outcome.frame
            mark += outcome.payoff
            if outcome.over:
                return mark

    @property
    def blind_until(self):
        return max(self.options.span, self.options.blind_start)

    def go(self):
        self.open_episode()
        while self.now < self.options.decisions:
            self.now += 1
            self.act()
            self.learn()
            self.exam()


if __name__ == "__main__":
    Life(read_options()).go()
