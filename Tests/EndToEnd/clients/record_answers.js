// For a page whose tests wait until it has acted on an answer.

/** Records in `answers` the address of each answer that the page has read and acted on. */
window.recordAnswers = () => {
  window.answers = [];
  const { json } = Response.prototype;
  Response.prototype.json = async function () {
    const answer = await json.call(this);
    // The page goes on in microtasks, which come before any timer.
    setTimeout(() => window.answers.push(this.url));
    return answer;
  };
};
